using System.Text;
using System.Text.Json;
using MultiAgent.Analytics.Journeys;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Analytics.Tests.Journeys;

/// <summary>What every store of journeys keeps.</summary>
public abstract class JourneyStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, 678, TimeSpan.Zero);

    private IJourneyStore Store => Stores.Journeys;

    [Fact]
    public async Task Journey_FromStartToEndInOneBatch_IsWhole()
    {
        string id = NewId();
        await Store.ApplyAsync((JourneyChange[])
        [
            Change(id, "started") with { UserId = "u \"1\" ü", Metadata = new Dictionary<string, string> { ["k \"1\""] = "v \\" } },
            Change(id, "step", 1) with { Type = "", Step = "one" },
            Change(id, "step", 2) with { Type = "", Step = "two", Metadata = new Dictionary<string, string> { ["a"] = "b" } },
            Change(id, "completed", 5) with { Type = "", Step = "paid" },
        ]);

        JourneyItem item = (await Store.FindAsync("t1", id))!;

        Assert.Equal(("checkout", "u \"1\" ü", "completed", At, At.AddSeconds(5), 5000d, 2, "paid"),
            (item.Type, item.UserId, item.Status, item.StartedAt, item.EndedAt, item.DurationMs, item.StepCount, item.Reason));
        Assert.Equal("v \\", item.Metadata!["k \"1\""]);
        Assert.Equal([("one", At.AddSeconds(1)), ("two", At.AddSeconds(2))], item.Steps!.Select(s => (s.Name, s.At!.Value)));
        Assert.Equal("b", item.Steps![1].Metadata!["a"]);
    }

    [Fact]
    public async Task Journey_RecordedWhole_HasItsStepsAndEnd()
    {
        string id = NewId(), failed = NewId();
        await Store.ApplyAsync((JourneyChange[])[Change(id, "recorded") with { Step = "a,b", DurationMs = 1500 }, Change(failed, "recorded") with { Outcome = "failed" }]);

        JourneyItem item = (await Store.FindAsync("t1", id))!;

        Assert.Equal(("completed", 2, At.AddMilliseconds(1500), 1500d), (item.Status, item.StepCount, item.EndedAt, item.DurationMs));
        Assert.Equal(["a", "b"], item.Steps!.Select(s => s.Name));
        Assert.Equal(("failed", 0, null), ((await Store.FindAsync("t1", failed))!.Status, (await Store.FindAsync("t1", failed))!.StepCount, (await Store.FindAsync("t1", failed))!.DurationMs));
    }

    [Fact]
    public async Task Changes_DeliveredAgain_ChangeNothing()
    {
        string id = NewId();
        JourneyChange[] changes = [Change(id, "started"), Change(id, "step", 1) with { Type = "", Step = "one" }, Change(id, "abandoned", 2) with { Type = "" }];
        await Store.ApplyAsync(changes);
        await Store.ApplyAsync((JourneyChange[])[.. changes, .. changes, Change(id, "completed", 9) with { Type = "" }]);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Store.ApplyAsync(changes)));

        JourneyItem item = (await Store.FindAsync("t1", id))!;

        Assert.Equal(("abandoned", 1, At.AddSeconds(2)), (item.Status, item.StepCount, item.EndedAt));
        Assert.Single(item.Steps!);
    }

    [Fact]
    public async Task Step_BeforeTheStart_MakesTheJourneyOnlyWithAType()
    {
        string typed = NewId(), untyped = NewId();
        await Store.ApplyAsync((JourneyChange[])[Change(typed, "step", 1) with { Step = "one" }, Change(untyped, "step", 1) with { Type = "", Step = "one" }]);
        await Store.ApplyAsync((JourneyChange[])[Change(typed, "started")]);

        Assert.Equal(("active", 1, At.AddSeconds(1)), ((await Store.FindAsync("t1", typed))!.Status, (await Store.FindAsync("t1", typed))!.StepCount, (await Store.FindAsync("t1", typed))!.StartedAt));
        Assert.Null(await Store.FindAsync("t1", untyped));
    }

    [Fact]
    public async Task TryApply_TellsMissingFromEnded()
    {
        string id = NewId();
        Assert.False(await Store.TryApplyAsync(Change(id, "step") with { Type = "", Step = "one" }));
        await Store.ApplyAsync((JourneyChange[])[Change(id, "started")]);
        Assert.False(await Store.TryApplyAsync(Change(id, "completed") with { TenantId = "t2", Type = "" }));
        bool?[] ends = await Task.WhenAll(Enumerable.Range(0, 6).Select(i => Store.TryApplyAsync(Change(id, "completed", i) with { Type = "" })));

        Assert.Single(ends, e => e == true);
        Assert.Equal(5, ends.Count(e => e is null));
    }

    [Fact]
    public async Task Batch_ThatIsMalformed_AppliesNothing()
    {
        string id = NewId();
        ReadOnlyMemory<byte> good = IJourneyStore.ToBatch([Change(id, "started")]);
        foreach (string wrong in (string[])["{}", "{\"changes\":[{\"id\":\"x\"}]}", Encoding.UTF8.GetString(good.Span).Replace("started", "novel", StringComparison.Ordinal)])
            await Assert.ThrowsAnyAsync<JsonException>(() => Store.ApplyAsync([good, Encoding.UTF8.GetBytes(wrong)]).WaitAsync(Eventually.Deadline));

        Assert.Null(await Store.FindAsync("t1", id));
    }

    [Fact]
    public async Task Journeys_OfAnotherTenant_AreNotThere()
    {
        string id = NewId();
        await Store.ApplyAsync((JourneyChange[])[Change(id, "started")]);

        Assert.Null(await Store.FindAsync("t2", id));
        Assert.Empty(await Store.ListAsync(Filter("t2"), null, 10));
        // The same id of another tenant is another journey.
        await Store.ApplyAsync((JourneyChange[])[Change(id, "started") with { TenantId = "t2", Type = "other" }, Change(id, "completed", 1) with { TenantId = "t2", Type = "" }]);
        Assert.Equal("active", (await Store.FindAsync("t1", id))!.Status);
        Assert.Equal("completed", (await Store.FindAsync("t2", id))!.Status);
    }

    [Fact]
    public async Task List_IsNewestFirstFilteredAndPaged()
    {
        string[] ids = [.. Enumerable.Range(0, 5).Select(_ => NewId()).OrderDescending(StringComparer.Ordinal)];
        await Store.ApplyAsync((JourneyChange[])[.. ids.Select((id, i) => Change(id, i == 0 ? "recorded" : "started") with { Type = i % 2 == 0 ? "even" : "odd", UserId = $"u{i}" })]);

        Assert.Equal(ids, (await Store.ListAsync(Filter(), null, 10)).Select(j => j.Id));
        Assert.Equal(ids[2..4], (await Store.ListAsync(Filter(), ids[1], 2)).Select(j => j.Id));
        Assert.Equal(3, (await Store.ListAsync(Filter() with { Type = "even" }, null, 10)).Count);
        Assert.Equal(4, (await Store.ListAsync(Filter() with { Status = "active" }, null, 10)).Count);
        Assert.Equal(ids[3], Assert.Single(await Store.ListAsync(Filter() with { UserId = "u3" }, null, 10)).Id);
        Assert.Empty(await Store.ListAsync(Filter() with { Range = new TimeRange(At.AddDays(-1), At) }, null, 10));
        Assert.Equal(4, await Store.CountActiveAsync());
    }

    [Fact]
    public async Task Abandon_BySeveralAtOnce_EndsEachJourneyOnce()
    {
        string[] ids = [.. Enumerable.Range(0, 40).Select(_ => NewId())];
        await Store.ApplyAsync((JourneyChange[])[.. ids.Select((id, i) => Change(id, "started", i < 30 ? 0 : 100))]);
        DateTimeOffset limit = At.AddSeconds(50), now = At.AddSeconds(200);
        async Task<int> SweepAsync()
        {
            int ended = 0;
            while (await Store.AbandonAsync(limit, now, 4) is { Count: > 0 } some) ended += some.Count;
            return ended;
        }

        int[] counts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(SweepAsync)));

        Assert.Equal(30, counts.Sum());
        Assert.Equal(10, await Store.CountActiveAsync());
        JourneyItem item = (await Store.FindAsync("t1", ids[0]))!;
        Assert.Equal(("abandoned", "timeout", now, 0d), (item.Status, item.Reason, item.EndedAt, item.DurationMs));
    }

    private static string NewId() => Ids.New("jrn", At);

    private static JourneyFilter Filter(string tenant = "t1") => new(tenant, new TimeRange(At.AddDays(-1), At.AddDays(1)), null, null, null);

    private static JourneyChange Change(string journey, string kind, double seconds = 0) =>
        new() { Id = Ids.New("jch", At), JourneyId = journey, TenantId = "t1", Kind = kind, Type = "checkout", At = At.AddSeconds(seconds) };
}

public sealed class SqliteJourneyStoreTests : JourneyStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}
