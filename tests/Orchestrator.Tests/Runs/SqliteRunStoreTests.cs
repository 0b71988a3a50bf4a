using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Tests.Runs;

public sealed class SqliteRunStoreTests : RunStoreConformance, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("maap-runs-").FullName;
    private readonly SqliteDatabase _database;

    public SqliteRunStoreTests()
    {
        _database = new SqliteDatabase("orchestrator", new() { Directory = _folder, SyncEveryCommit = false });
        SqliteMigrator.Migrate(_database);
        Store = new SqliteRunStore(_database);
    }

    private protected override IRunStore Store { get; }

    [Fact]
    public void Migration_TakenBack_LeavesNothing()
    {
        while (SqliteMigrator.Rollback(_database) is not null)
        {
            // each call takes one step back
        }
        Assert.Equal(0L, _database.Read(session =>
        {
            SqliteStatement count = session.Prepare("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'");
            count.Step();
            long tables = count.Int64(0);
            count.Reset();
            return tables;
        }));
    }

    public void Dispose()
    {
        _database.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
