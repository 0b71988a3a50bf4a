using MultiAgent.Analytics.Journeys;
using MultiAgent.Analytics.Requests;
using MultiAgent.Analytics.Usage;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics.Tests;

/// <summary>Stores on a database file of their own.</summary>
internal sealed class SqliteStores : IStores
{
    private readonly TempFolder _folder = new();

    public SqliteStores()
    {
        Database = new SqliteDatabase(AnalyticsModule.Service, new() { Directory = _folder.Path, SyncEveryCommit = false });
        SqliteMigrator.Migrate(Database);
        Usage = new SqliteUsageStore(Database);
        Journeys = new SqliteJourneyStore(Database);
        Requests = new SqliteRequestStore(Database);
    }

    public SqliteDatabase Database { get; }

    public IUsageStore Usage { get; }

    public IJourneyStore Journeys { get; }

    public IRequestStore Requests { get; }

    public ValueTask DisposeAsync()
    {
        Database.Dispose();
        _folder.Dispose();
        return default;
    }
}
