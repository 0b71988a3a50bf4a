using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

[Trait("Database", "once")]
public sealed class SqliteRunStoreTests : RunStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());

    [Fact]
    public void Migration_TakenBack_LeavesNothing()
    {
        SqliteDatabase database = ((SqliteStores)Stores).Database;
        while (SqliteMigrator.Rollback(database) is not null)
        {
            // each call takes one step back
        }
        Assert.Equal(0L, database.Read(session =>
        {
            SqliteStatement count = session.Prepare("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'");
            count.Step();
            long tables = count.Int64(0);
            count.Reset();
            return tables;
        }));
    }
}
