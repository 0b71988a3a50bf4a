using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Analytics.Journeys;
using MultiAgent.Analytics.Requests;
using MultiAgent.Analytics.Usage;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data;

namespace MultiAgent.Analytics.Tests;

public sealed class SqliteRetentionTests
{
    private static readonly DateTimeOffset Old = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), New = Old.AddDays(100);

    [Fact]
    public async Task Rows_BeyondTheirDays_AreDeletedOfEveryTenant()
    {
        await using var stores = new SqliteStores();
        foreach (string tenant in (string[])["t1", "t2"])
        {
            await stores.Usage.AddAsync([JsonSerializer.SerializeToUtf8Bytes(new UsageBatch([.. Enumerable.Range(0, 2500).Select(i => Record(tenant, i < 2400 ? Old : New))]), EventJson.Default.UsageBatch)]);
            await stores.Requests.AddAsync([JsonSerializer.SerializeToUtf8Bytes(new RequestBatch([.. Enumerable.Range(0, 1200).Select(i => Request(tenant, i < 1150 ? Old : New))]), EventJson.Default.RequestBatch)]);
            await stores.Journeys.ApplyAsync((JourneyChange[])[Started(tenant, Old), Started(tenant, New)]);
        }
        var options = Options.Create(new DataOptions { UsageDays = 50, JourneyDays = 50, RequestDays = 50 });
        using ServiceProvider none = new ServiceCollection().BuildServiceProvider();
        using var retention = new SqliteAnalyticsRetention(stores.Database, new Databases(none, options), options, new FakeTimeProvider(New.AddDays(1)), NullLogger<SqliteAnalyticsRetention>.Instance);

        await retention.StartAsync(CancellationToken.None);
        await Eventually.TrueAsync(async () => await CountAsync(stores, "t2") == (100, 1, 50), "old rows are gone");
        await retention.StopAsync(CancellationToken.None);

        Assert.Equal((100, 1, 50), await CountAsync(stores, "t1"));
    }

    private static async Task<(long Usage, int Journeys, long Requests)> CountAsync(SqliteStores stores, string tenant)
    {
        var range = new TimeRange(Old.AddDays(-1), New.AddDays(1));
        return ((await stores.Usage.SummarizeAsync(new UsageFilter(tenant, range, null, null, null), []))[0].Requests, (await stores.Journeys.ListAsync(new JourneyFilter(tenant, range, null, null, null), null, 10)).Count,
            (await stores.Requests.SummarizeAsync(new RequestFilter(tenant, range), []))[0].Requests);
    }

    private static JourneyChange Started(string tenant, DateTimeOffset at) => new() { Id = Ids.New("jch", at), JourneyId = Ids.New("jrn", at), TenantId = tenant, Kind = "started", Type = "x", At = at };

    private static UsageRecord Record(string tenant, DateTimeOffset at) => new()
    {
        Id = Ids.New("use", at), TenantId = tenant, RequestId = "r", Operation = "chat", RequestedModel = "m", Model = "p/m", Provider = "p", InputTokens = 1, OutputTokens = 1, Status = "ok", LatencyMs = 1, At = at,
    };

    private static RequestRecord Request(string tenant, DateTimeOffset at) => new() { Id = Ids.New("rql", at), TenantId = tenant, RequestId = "r", Method = "GET", Path = "/", Status = 200, DurationMs = 1, At = at };
}
