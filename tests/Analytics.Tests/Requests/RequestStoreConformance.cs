using System.Text;
using System.Text.Json;
using MultiAgent.Analytics.Records;
using MultiAgent.Analytics.Requests;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Analytics.Tests.Requests;

/// <summary>What every store of the log of requests keeps.</summary>
public abstract class RequestStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    [Fact]
    public async Task Record_OfEveryMember_IsReadBackAsItCame()
    {
        RequestRecord record = Record() with
        {
            ApiKeyId = "key_1", UserId = "usr_1", Route = "/api/v1/runs/{id}", Status = 404, ErrorCode = "not_found", RequestBytes = 5_000_000_000, Model = "openai/gpt", RunId = "run_1",
            Path = "/api/v1/runs/\"ü🙂", UserAgent = "curl/8 \u0001", ClientAddress = "2001:db8::1",
        };
        await Stores.Requests.AddAsync([Batch(record)]);

        var expected = new RequestItem(record.Id, At, "req", "key_1", "usr_1", "GET", record.Path, "/api/v1/runs/{id}", 404, "not_found", 12.5, 5_000_000_000, "openai/gpt", "run_1", record.UserAgent, "2001:db8::1");
        Assert.Equal(expected, Assert.Single(await Stores.Requests.ListAsync(Filter(), null, 10)));
        Assert.Equal(expected, await Stores.Requests.FindAsync("t1", record.Id));
    }

    [Fact]
    public async Task Record_WithoutOptionalMembers_HasNulls()
    {
        await Stores.Requests.AddAsync([Batch(Record())]);

        RequestItem item = Assert.Single(await Stores.Requests.ListAsync(Filter(), null, 10));

        Assert.Equal(new RequestItem(item.Id, At, "req", null, null, "GET", "/v1/models", null, 200, null, 12.5, null, null, null, null, null), item);
    }

    [Fact]
    public async Task Record_DeliveredTwice_IsThereOnce()
    {
        RequestRecord first = Record(), second = Record();
        await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Stores.Requests.AddAsync([i % 2 == 0 ? Batch(first, second) : Batch(second, first)])));

        Assert.Equal(2, (await TotalAsync()).Requests);
    }

    [Fact]
    public async Task Batch_ThatIsMalformed_AddsNothing()
    {
        foreach (string wrong in (string[])["{}", "{\"records\":[{\"id\":\"x\"}]}", "not json"])
            await Assert.ThrowsAnyAsync<JsonException>(() => Stores.Requests.AddAsync([Batch(Record()), Encoding.UTF8.GetBytes(wrong)]).WaitAsync(Eventually.Deadline));

        Assert.Equal(0, (await TotalAsync()).Requests);
    }

    [Fact]
    public async Task Requests_OfAnotherTenant_AreNotThere()
    {
        RequestRecord other = Record() with { TenantId = "t2" };
        await Stores.Requests.AddAsync([Batch(Record(), other)]);

        Assert.Equal((1L, 1L), ((await TotalAsync()).Requests, (await TotalAsync("t2")).Requests));
        Assert.Null(await Stores.Requests.FindAsync("t1", other.Id));
        Assert.NotNull(await Stores.Requests.FindAsync("t2", other.Id));
        Assert.Empty(await Stores.Requests.ListAsync(Filter("t3"), null, 10));
    }

    [Fact]
    public async Task Filters_NarrowListsAndSums()
    {
        await Stores.Requests.AddAsync([Batch(
            Record() with { Method = "POST", Route = "/a", Status = 201 }, Record() with { Status = 404, ErrorCode = "not_found", ApiKeyId = "k" }, Record() with { Status = 499, UserId = "u", RequestId = "mine" },
            Record() with { Status = 503, RunId = "run_1", Model = "m", DurationMs = 900 }, Record() with { At = At.AddDays(2) })]);

        foreach ((RequestFilter filter, int count) in new[]
        {
            (Filter(), 5), (Filter() with { Method = "POST" }, 1), (Filter() with { Route = "/a" }, 1), (Filter() with { Status = (400, 499) }, 2), (Filter() with { Status = (503, 503) }, 1),
            (Filter() with { ErrorCode = "not_found" }, 1), (Filter() with { ApiKey = "k" }, 1), (Filter() with { UserId = "u" }, 1), (Filter() with { RequestId = "mine" }, 1), (Filter() with { RunId = "run_1" }, 1),
            (Filter() with { Model = "m" }, 1), (Filter() with { MinDurationMs = 900 }, 1), (Filter() with { Method = "POST", Status = (400, 599) }, 0),
            (Filter() with { Range = new TimeRange(At, At.AddDays(2)) }, 4), (Filter() with { Range = new TimeRange(At.AddMilliseconds(1), At.AddDays(3)) }, 1),
        })
        {
            Assert.Equal(count, (await Stores.Requests.SummarizeAsync(filter, []))[0].Requests);
            Assert.Equal(count, (await Stores.Requests.ListAsync(filter, null, 10)).Count);
        }
    }

    [Fact]
    public async Task Summary_HasCountsAndTheTimesOfEachGroup()
    {
        IEnumerable<RequestRecord> fast = Enumerable.Range(1, 100).Select(i => Record() with { Route = "/fast", DurationMs = i });
        await Stores.Requests.AddAsync([Batch([.. fast, Record() with { Route = "/slow", DurationMs = 500, Status = 500, At = At.AddDays(1) }, Record() with { Route = "/slow", DurationMs = 700, Status = 404, At = At.AddDays(1) }])]);

        RequestGroup total = await TotalAsync();
        IReadOnlyList<RequestGroup> routes = await Stores.Requests.SummarizeAsync(Filter(), Groups("route"));

        Assert.Equal((102L, 1L, 1L, 700d), (total.Requests, total.ClientErrors, total.ServerErrors, total.MaxMs));
        Assert.Equal(["/fast", "/slow"], routes.Select(g => g.Group!["route"]));
        Assert.Equal((100L, 50.5, 50d, 95d, 100d), (routes[0].Requests, routes[0].AverageMs, routes[0].P50Ms, routes[0].P95Ms, routes[0].MaxMs));
        Assert.Equal((2L, 600d, 500d, 700d), (routes[1].Requests, routes[1].AverageMs, routes[1].P50Ms, routes[1].P95Ms));
        Assert.Equal(["2026-01-02", "2026-01-03", "2026-01-03"], (await Stores.Requests.SummarizeAsync(Filter(), Groups("day,status"))).Select(g => g.Group!["day"]));
    }

    [Fact]
    public async Task Summary_ByEveryName_AddsUp()
    {
        await Stores.Requests.AddAsync([Batch(Record() with { ApiKeyId = "k", Model = "m" }, Record() with { UserId = "u", Status = 500, ErrorCode = "x" }, Record() with { Method = "PUT", Route = "/r", At = At.AddHours(1) })]);

        foreach (string names in (string[])["method", "route", "status", "errorCode", "apiKey", "user", "model", "day", "hour", "status,method,hour"])
        {
            IReadOnlyList<RequestGroup> groups = await Stores.Requests.SummarizeAsync(Filter(), Groups(names));
            Assert.Equal(3, groups.Sum(g => g.Requests));
            Assert.Equal(groups.Count, groups.Select(g => string.Join('|', g.Group!.Values)).Distinct().Count());
        }
        Assert.Equal((0L, null, null), ((await TotalAsync("none")).Requests, (await TotalAsync("none")).P95Ms, (await TotalAsync("none")).MaxMs));
    }

    [Fact]
    public async Task List_PagedAcrossEqualTimes_ShowsEachOnceNewestFirst()
    {
        RequestRecord[] records = [.. Enumerable.Range(0, 7).Select(i => Record(At.AddMilliseconds(i / 3)))];
        await Stores.Requests.AddAsync([Batch(records)]);
        var seen = new List<RequestItem>();
        RecordPosition? after = null;
        while (await Stores.Requests.ListAsync(Filter(), after, 2) is { Count: > 0 } page)
        {
            seen.AddRange(page);
            after = RecordPosition.Parse(RecordPosition.Of(page[^1].At, page[^1].Id).ToString());
        }

        Assert.Equal(records.OrderByDescending(r => r.At).ThenByDescending(r => r.Id, StringComparer.Ordinal).Select(r => r.Id), seen.Select(i => i.Id));
    }

    private async Task<RequestGroup> TotalAsync(string tenant = "t1") => Assert.Single(await Stores.Requests.SummarizeAsync(Filter(tenant), []));

    private static IReadOnlyList<RecordGrouping> Groups(string names) => RecordGrouping.Parse(names, RequestSchema.Groupings);

    private static RequestFilter Filter(string tenant = "t1") => new(tenant, new TimeRange(At.AddDays(-1), At.AddDays(5)));

    private static RequestRecord Record() => Record(At);

    private static RequestRecord Record(DateTimeOffset at) => new() { Id = Ids.New("rql", at), TenantId = "t1", RequestId = "req", Method = "GET", Path = "/v1/models", Status = 200, DurationMs = 12.5, At = at };

    private static ReadOnlyMemory<byte> Batch(params RequestRecord[] records) => JsonSerializer.SerializeToUtf8Bytes(new RequestBatch(records), EventJson.Default.RequestBatch);
}

public sealed class SqliteRequestStoreTests : RequestStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}
