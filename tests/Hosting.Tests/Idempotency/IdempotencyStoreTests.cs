using System.Text;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

public sealed class IdempotencyStoreTests : IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly EphemeralDataProtectionProvider _protection = new();
    private readonly SqliteDatabase _database;

    public IdempotencyStoreTests()
    {
        _database = new SqliteDatabase("host", new DataOptions { Directory = _folder.Path });
        SqliteMigrator.Migrate(_database);
    }

    public void Dispose()
    {
        _database.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task Claim_LeftByACrash_IsTakenOverByTheNextProcess()
    {
        Assert.IsType<ClaimOutcome.Granted>(await Store().ClaimAsync("ten", "k", "hash", default));
        IdempotencyStore next = Store();
        Assert.IsType<ClaimOutcome.Mismatch>(await next.ClaimAsync("ten", "k", "other", default));
        Assert.IsType<ClaimOutcome.Granted>(await next.ClaimAsync("ten", "k", "hash", default));
        await next.CompleteAsync("ten", "k", new StoredResponse(201, "application/json", "/x", [1, 2]));
        var replay = Assert.IsType<ClaimOutcome.Replay>(await Store().ClaimAsync("ten", "k", "hash", default));
        Assert.Equal((201, "application/json", "/x"), (replay.Response.Status, replay.Response.ContentType, replay.Response.Location));
        Assert.Equal([1, 2], replay.Response.Body);
    }

    [Fact]
    public async Task Claim_InProgress_WaitsForTheAnswer()
    {
        IdempotencyStore store = Store();
        await store.ClaimAsync("ten", "k", "hash", default);
        Task<ClaimOutcome> second = store.ClaimAsync("ten", "k", "hash", default);
        Assert.False(second.IsCompleted);
        await store.CompleteAsync("ten", "k", new StoredResponse(200, null, null, []));
        Assert.IsType<ClaimOutcome.Replay>(await second.WaitAsync(Eventually.Deadline));
    }

    [Fact]
    public async Task Claim_Released_IsGrantedToTheOneThatWaits()
    {
        IdempotencyStore store = Store();
        await store.ClaimAsync("ten", "k", "hash", default);
        Task<ClaimOutcome> second = store.ClaimAsync("ten", "k", "hash", default);
        await store.ReleaseAsync("ten", "k");
        Assert.IsType<ClaimOutcome.Granted>(await second.WaitAsync(Eventually.Deadline));
    }

    [Fact]
    public async Task Claim_OfAnotherTenant_IsItsOwn()
    {
        IdempotencyStore store = Store();
        Assert.IsType<ClaimOutcome.Granted>(await store.ClaimAsync("ten_1", "k", "hash", default));
        Assert.IsType<ClaimOutcome.Granted>(await store.ClaimAsync("ten_2", "k", "other", default));
    }

    [Fact]
    public async Task Answer_IsEncryptedOnDisk()
    {
        IdempotencyStore store = Store();
        await store.ClaimAsync("ten", "k", "hash", default);
        await store.CompleteAsync("ten", "k", new StoredResponse(201, null, null, Encoding.UTF8.GetBytes("shown-once-secret")));
        foreach (string file in Directory.GetFiles(_folder.Path))
        {
            using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var bytes = new MemoryStream();
            stream.CopyTo(bytes);
            Assert.True(bytes.ToArray().AsSpan().IndexOf("shown-once-secret"u8) < 0, file);
        }
    }

    [Fact]
    public async Task Expired_KeysAreDeletedInBatches()
    {
        IdempotencyStore store = Store();
        for (int i = 0; i < 5; i++) await store.ClaimAsync("ten", $"k{i}", "hash", default);
        Assert.Equal(0, await store.DeleteExpiredAsync(10));
        _time.Advance(IdempotencyStore.Retention + TimeSpan.FromSeconds(1));
        Assert.Equal(3, await store.DeleteExpiredAsync(3));
        Assert.Equal(2, await store.DeleteExpiredAsync(3));
    }

    private IdempotencyStore Store() => new(_database, _protection, _time);
}
