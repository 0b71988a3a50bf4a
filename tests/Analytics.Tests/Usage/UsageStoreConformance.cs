using System.Text;
using System.Text.Json;
using MultiAgent.Analytics.Records;
using MultiAgent.Analytics.Usage;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Analytics.Tests.Usage;

/// <summary>What every store of usage keeps.</summary>
public abstract class UsageStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    [Fact]
    public async Task Record_OfEveryMember_IsReadBackAsItCame()
    {
        UsageRecord record = Record() with
        {
            ApiKeyId = "key_1", UserId = "usr \"1\" \\ ü 🙂", RunId = "run_1", Agent = "helper", CachedInputTokens = 3, CacheWriteTokens = 2, ReasoningTokens = 1, Estimated = true,
            CostUsd = 0.000000123456m, ErrorCode = "x", Stream = true, Attempt = 2, FirstTokenMs = 4.5,
        };
        await Stores.Usage.AddAsync([Batch(record)]);

        UsageItem item = Assert.Single(await Stores.Usage.ListAsync(Filter(), null, 10));

        Assert.Equal(new UsageItem(record.Id, At, "key_1", record.UserId, "req", "run_1", "helper", "chat", "gpt", "openai/gpt", 10, 3, 5, 1, true, 0.000000123456m, "ok", "x", true, 2, 12.5, 4.5), item);
    }

    [Fact]
    public async Task Record_WithoutOptionalMembers_HasNullsAndZeros()
    {
        await Stores.Usage.AddAsync([Batch(Record() with { CostUsd = null })]);

        UsageItem item = Assert.Single(await Stores.Usage.ListAsync(Filter(), null, 10));

        Assert.Equal((null, null, null, null, null, null), (item.ApiKeyId, item.UserId, item.RunId, item.Agent, item.ErrorCode, item.FirstTokenMs));
        Assert.Equal((null, 0L, 0L, false, false, 0), (item.CostUsd, item.CachedInputTokens, item.ReasoningTokens, item.Estimated, item.Stream, item.Attempt));
    }

    [Fact]
    public async Task Record_DeliveredTwice_CountsOnce()
    {
        UsageRecord first = Record(), second = Record();
        await Stores.Usage.AddAsync([Batch(first, second)]);
        await Stores.Usage.AddAsync([Batch(second, Record()), Batch(first, first)]);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Stores.Usage.AddAsync([i % 2 == 0 ? Batch(first, second) : Batch(second, first)])));

        Assert.Equal(3, (await TotalAsync()).Requests);
    }

    [Fact]
    public async Task Batch_ThatIsMalformed_AddsNothing()
    {
        byte[] whole = Batch(Record()).ToArray();
        foreach (string wrong in (string[])["{}", "{\"records\":[{\"id\":\"x\"}]}", "{\"records\":[{\"id\":5}]}", "not json", Encoding.UTF8.GetString(whole)[..^10]])
            await Assert.ThrowsAnyAsync<JsonException>(() => Stores.Usage.AddAsync([whole, Encoding.UTF8.GetBytes(wrong)]).WaitAsync(Eventually.Deadline));

        Assert.Equal(0, (await TotalAsync()).Requests);
        await Stores.Usage.AddAsync([whole, Encoding.UTF8.GetBytes("{\"records\":[]}")]);
        Assert.Equal(1, (await TotalAsync()).Requests);
    }

    [Fact]
    public async Task Member_OfANewerVersion_IsPassedOver()
    {
        string text = Encoding.UTF8.GetString(Batch(Record()).Span).Replace("\"operation\"", "\"novel\":{\"a\":[1,{\"b\":2}]},\"operation\"", StringComparison.Ordinal);
        await Stores.Usage.AddAsync([Encoding.UTF8.GetBytes(text)]);

        Assert.Equal("chat", Assert.Single(await Stores.Usage.ListAsync(Filter(), null, 10)).Operation);
    }

    [Fact]
    public async Task Usage_OfAnotherTenant_IsNotThere()
    {
        await Stores.Usage.AddAsync([Batch(Record(), Record() with { TenantId = "t2", InputTokens = 7 })]);

        Assert.Equal((1L, 10L), ((await TotalAsync()).Requests, (await TotalAsync()).InputTokens));
        Assert.Equal((1L, 7L), ((await TotalAsync("t2")).Requests, (await TotalAsync("t2")).InputTokens));
        Assert.Equal(0, (await TotalAsync("t3")).Requests);
        Assert.Empty(await Stores.Usage.ListAsync(Filter("t3"), null, 10));
    }

    [Fact]
    public async Task Sums_AreExactBeyondTheRangeOfPicoDollars()
    {
        // Each the dearest that fits; together more pico dollars than 64 bits hold.
        UsageRecord[] records = [.. Enumerable.Range(0, 4).Select(_ => Record() with { CostUsd = 9_000_000.000000000001m })];
        await Stores.Usage.AddAsync([Batch([.. records, Record() with { CostUsd = null, Status = "error", Estimated = true }])]);

        UsageGroup total = await TotalAsync();

        Assert.Equal(36_000_000.000000000004m, total.CostUsd);
        Assert.Equal((5L, 1L, 1L, 1L), (total.Requests, total.Errors, total.RequestsOfUnknownCost, total.EstimatedRequests));
        Assert.Equal((50L, 25L, 12.5), (total.InputTokens, total.OutputTokens, total.AverageLatencyMs));
        Assert.Null(total.AverageFirstTokenMs);
    }

    [Fact]
    public async Task Groups_ByEveryName_AddUp()
    {
        await Stores.Usage.AddAsync([Batch(
            Record() with { Model = "a/1", CostUsd = 1 }, Record() with { Model = "a/1", CostUsd = 2, Agent = "x" }, Record() with { Model = "b/2", Provider = "b", CostUsd = 5, At = At.AddDays(1) },
            Record() with { UserId = "u", ApiKeyId = "k", Operation = "embeddings", Status = "error", CostUsd = null, At = At.AddHours(2) })]);
        foreach (string names in (string[])["model", "provider", "agent", "apiKey", "user", "operation", "status", "day", "hour", "model,day", "provider,operation,status"])
        {
            IReadOnlyList<UsageGroup> groups = await Stores.Usage.SummarizeAsync(Filter(), RecordGrouping.Parse(names, UsageSchema.Groupings));
            Assert.Equal((4L, 8m), (groups.Sum(g => g.Requests), groups.Sum(g => g.CostUsd)));
            Assert.Equal(groups.Count, groups.Select(g => string.Join('|', g.Group!.Values)).Distinct().Count());
        }

        Assert.Equal(["b/2", "a/1", "openai/gpt"], (await Stores.Usage.SummarizeAsync(Filter(), RecordGrouping.Parse("model", UsageSchema.Groupings))).Select(g => g.Group!["model"]));
        Assert.Equal(["2026-01-02", "2026-01-03"], (await Stores.Usage.SummarizeAsync(Filter(), RecordGrouping.Parse("day", UsageSchema.Groupings))).Select(g => g.Group!["day"]));
        Assert.Equal(["2026-01-02T03:00:00Z", "2026-01-02T05:00:00Z", "2026-01-03T03:00:00Z"], (await Stores.Usage.SummarizeAsync(Filter(), RecordGrouping.Parse("hour", UsageSchema.Groupings))).Select(g => g.Group!["hour"]));
        Assert.Contains((await Stores.Usage.SummarizeAsync(Filter(), RecordGrouping.Parse("agent", UsageSchema.Groupings))).Select(g => g.Group!["agent"]), agent => agent is null);
    }

    [Fact]
    public async Task Filters_AndRanges_NarrowSumsAndLists()
    {
        await Stores.Usage.AddAsync([Batch(Record() with { Model = "a/1" }, Record() with { Agent = "x" }, Record() with { ApiKeyId = "k" }, Record() with { At = At.AddDays(2) })]);

        foreach ((UsageFilter filter, int count) in new[]
        {
            (Filter() with { Model = "a/1" }, 1), (Filter() with { Agent = "x" }, 1), (Filter() with { ApiKey = "k" }, 1), (Filter() with { Agent = "y" }, 0),
            (Filter() with { Range = new TimeRange(At, At.AddDays(2)) }, 3), (Filter() with { Range = new TimeRange(At.AddMilliseconds(1), At.AddDays(3)) }, 1),
        })
        {
            Assert.Equal(count, (await Stores.Usage.SummarizeAsync(filter, []))[0].Requests);
            Assert.Equal(count, (await Stores.Usage.ListAsync(filter, null, 10)).Count);
        }
    }

    [Fact]
    public async Task List_PagedAcrossEqualTimes_ShowsEachOnceNewestFirst()
    {
        UsageRecord[] records = [.. Enumerable.Range(0, 9).Select(i => Record() with { At = At.AddMilliseconds(i / 3) })];
        await Stores.Usage.AddAsync([Batch(records)]);
        var seen = new List<UsageItem>();
        RecordPosition? after = null;
        while (await Stores.Usage.ListAsync(Filter(), after, 2) is { Count: > 0 } page)
        {
            seen.AddRange(page);
            after = RecordPosition.Parse(RecordPosition.Of(page[^1].At, page[^1].Id).ToString());
        }

        Assert.Equal(records.OrderByDescending(r => r.At).ThenByDescending(r => r.Id, StringComparer.Ordinal).Select(r => r.Id), seen.Select(i => i.Id));
    }

    private async Task<UsageGroup> TotalAsync(string tenant = "t1") => Assert.Single(await Stores.Usage.SummarizeAsync(Filter(tenant), []));

    private static UsageFilter Filter(string tenant = "t1") => new(tenant, new TimeRange(At.AddDays(-1), At.AddDays(5)), null, null, null);

    private static UsageRecord Record() => new()
    {
        Id = Ids.New("use", At), TenantId = "t1", RequestId = "req", Operation = "chat", RequestedModel = "gpt", Model = "openai/gpt", Provider = "openai",
        InputTokens = 10, OutputTokens = 5, CostUsd = 0.5m, Status = "ok", LatencyMs = 12.5, At = At,
    };

    private static ReadOnlyMemory<byte> Batch(params UsageRecord[] records) => JsonSerializer.SerializeToUtf8Bytes(new UsageBatch(records), EventJson.Default.UsageBatch);
}

public sealed class SqliteUsageStoreTests : UsageStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}
