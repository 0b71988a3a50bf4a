using System.Text;
using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Idempotency;

public sealed class SqliteIdempotencyStoreTests : IdempotencyStoreConformance, IDisposable
{
    private readonly TempFolder _folder = new();
    private readonly SqliteDatabase _database;

    public SqliteIdempotencyStoreTests()
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
    public async Task Answer_IsEncryptedOnDisk()
    {
        IIdempotencyStore store = Store();
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

    private protected override IIdempotencyStore Store() => new SqliteIdempotencyStore(_database, Protection, Time);
}
