using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

/// <summary>What every store of idempotency keys keeps.</summary>
public abstract class IdempotencyStoreConformance
{
    internal FakeTimeProvider Time { get; } = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    internal EphemeralDataProtectionProvider Protection { get; } = new();

    /// <summary>The store of a process of its own, on the same data.</summary>
    private protected abstract IIdempotencyStore Store();

    /// <summary>Ends the store's process without a word.</summary>
    private protected virtual void Crash(IIdempotencyStore store)
    {
    }

    [Fact]
    public async Task Claim_LeftByACrash_IsTakenOverByTheNextProcess()
    {
        IIdempotencyStore first = Store();
        Assert.IsType<ClaimOutcome.Granted>(await first.ClaimAsync("ten", "k", "hash", default));
        Crash(first);
        IIdempotencyStore next = Store();
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
        IIdempotencyStore store = Store();
        await store.ClaimAsync("ten", "k", "hash", default);
        Task<ClaimOutcome> second = store.ClaimAsync("ten", "k", "hash", default);
        Assert.False(second.IsCompleted);
        await store.CompleteAsync("ten", "k", new StoredResponse(200, null, null, []));
        Assert.IsType<ClaimOutcome.Replay>(await second.WaitAsync(Eventually.Deadline));
    }

    [Fact]
    public async Task Claim_Released_IsGrantedToTheOneThatWaits()
    {
        IIdempotencyStore store = Store();
        await store.ClaimAsync("ten", "k", "hash", default);
        Task<ClaimOutcome> second = store.ClaimAsync("ten", "k", "hash", default);
        await store.ReleaseAsync("ten", "k", mayHaveActed: false);
        Assert.IsType<ClaimOutcome.Granted>(await second.WaitAsync(Eventually.Deadline));
    }

    [Fact]
    public async Task Claim_ReleasedAfterItMayHaveActed_StaysBoundToItsRequestAndTime()
    {
        IIdempotencyStore store = Store();
        var first = Assert.IsType<ClaimOutcome.Granted>(await store.ClaimAsync("ten", "k", "hash", default));
        await store.ReleaseAsync("ten", "k", mayHaveActed: true);
        Assert.IsType<ClaimOutcome.Mismatch>(await store.ClaimAsync("ten", "k", "other", default));
        Assert.Equal(first, await store.ClaimAsync("ten", "k", "hash", default));
        await store.ReleaseAsync("ten", "k", mayHaveActed: false);
        Assert.IsType<ClaimOutcome.Granted>(await store.ClaimAsync("ten", "k", "other", default));
    }

    [Fact]
    public async Task Claim_OfAnotherTenant_IsItsOwn()
    {
        IIdempotencyStore store = Store();
        Assert.IsType<ClaimOutcome.Granted>(await store.ClaimAsync("ten_1", "k", "hash", default));
        Assert.IsType<ClaimOutcome.Granted>(await store.ClaimAsync("ten_2", "k", "other", default));
    }

    [Fact]
    public async Task Expired_KeysAreDeletedInBatches()
    {
        IIdempotencyStore store = Store();
        for (int i = 0; i < 5; i++) await store.ClaimAsync("ten", $"k{i}", "hash", default);
        Assert.Equal(0, await store.DeleteExpiredAsync(10));
        Time.Advance(IIdempotencyStore.Retention + TimeSpan.FromSeconds(1));
        Assert.Equal(3, await store.DeleteExpiredAsync(3));
        Assert.Equal(2, await store.DeleteExpiredAsync(3));
    }
}
