using MultiAgent.Analytics.Journeys;
using MultiAgent.Analytics.Requests;
using MultiAgent.Analytics.Usage;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Analytics.Tests;

/// <summary>Stores on a PostgreSQL database of their own, as the role of the services.</summary>
internal sealed class PostgresStores : IStores
{
    private readonly TestDatabase _database;
    private readonly PostgresDatabase _schema;

    private PostgresStores(TestDatabase database)
    {
        _database = database;
        _schema = database.Open(AnalyticsModule.Service);
        Usage = new PostgresUsageStore(_schema);
        Journeys = new PostgresJourneyStore(_schema);
        Requests = new PostgresRequestStore(_schema);
    }

    public IUsageStore Usage { get; }

    public IJourneyStore Journeys { get; }

    public IRequestStore Requests { get; }

    public static async Task<IStores> OpenAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        return new PostgresStores(await (await TestPostgres.SharedAsync()).NewDatabaseAsync());
    }

    public async ValueTask DisposeAsync()
    {
        await _schema.DisposeAsync();
        await _database.DisposeAsync();
    }
}
