using System.Collections.Concurrent;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Schedules;
using MultiAgent.Orchestrator.Tests.Support;
using static MultiAgent.Orchestrator.Tests.Schedules.FiringPlanTests;

namespace MultiAgent.Orchestrator.Tests.Schedules;

/// <summary>What every store of schedules does, alone and under workers whose clock the test moves.</summary>
public abstract class ScheduleStoreConformance : StoreTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);
    private readonly FakeTimeProvider _time = new(Time("2026-01-01T00:00Z"));

    private IScheduleStore Store => Stores.Schedules;

    [Fact]
    public async Task Schedule_IsKeptChangedAndDeletedForItsTenantAlone()
    {
        Schedule mine = Hourly(Ids.New("sch", _time)), other = Hourly(Ids.New("sch", _time), "ten_b");
        await Store.AddAsync(mine);
        await Store.AddAsync(mine with { Paused = true });
        await Store.AddAsync(other);

        Schedule found = (await Store.FindAsync("ten_a", mine.Id))!;
        Assert.Equal(("0 * * * *", false, mine.NextAt, 1L), (found.Spec.Cron, found.Paused, found.NextAt, found.Revision));
        Assert.Null(await Store.FindAsync("ten_b", mine.Id));
        Assert.Equal([mine.Id], (await Store.ListAsync("ten_a", null, 10)).Select(s => s.Id));
        Assert.True(await Store.UpdateAsync(mine with { Revision = 2, Paused = true }));
        Assert.False(await Store.UpdateAsync(mine with { Revision = 2 }));
        Assert.False(await Store.UpdateAsync(mine with { Revision = 3, TenantId = "ten_b" }));
        Assert.False(await Store.DeleteAsync("ten_b", mine.Id));
        Assert.True(await Store.DeleteAsync("ten_a", mine.Id));
        Assert.NotNull(await Store.FindAsync("ten_b", other.Id));
    }

    [Fact]
    public async Task Claim_GivesADueScheduleToOneOwnerAndAPlanOfAnOldRevisionIsNotKept()
    {
        Schedule schedule = Hourly(Ids.New("sch", _time));
        await Store.AddAsync(schedule);
        DateTimeOffset due = schedule.DueAt!.Value;

        Assert.Empty(await Store.ClaimDueAsync("p", due.AddMilliseconds(-1), Lease, 10));
        IReadOnlyList<Schedule>[] claims = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Store.ClaimDueAsync($"p{i}", due, Lease, 10)));
        int holder = Array.FindIndex(claims, c => c.Count == 1);
        Assert.Equal(1, claims.Sum(c => c.Count));
        Assert.False(await Store.PlanAsync(schedule, "somebody", FiringPlan.Of(schedule, due)));
        Assert.True(await Store.UpdateAsync(schedule with { Revision = 2 }));
        Assert.False(await Store.PlanAsync(schedule, $"p{holder}", FiringPlan.Of(schedule, due)));
        Assert.Empty(await Store.ListFiringsAsync("ten_a", schedule.Id, null, 10));
        Schedule again = Assert.Single(await Store.ClaimDueAsync("p9", due, Lease, 10));
        Assert.True(await Store.PlanAsync(again, "p9", FiringPlan.Of(again, due)));
        Assert.Equal(schedule.NextAt!.Value.AddHours(1), (await Store.FindAsync("ten_a", schedule.Id))!.NextAt);
        Assert.Equal([schedule.NextAt.Value], (await Store.ListFiringsAsync("ten_a", schedule.Id, null, 10)).Select(f => f.FireAt));
        Assert.Empty(await Store.ListFiringsAsync("ten_b", schedule.Id, null, 10));
    }

    [Fact]
    public async Task Workers_OfManyProcesses_StartEachTimeOnce()
    {
        Schedule schedule = Hourly(Ids.New("sch", _time)) with { Spec = Hourly().Spec with { Overlap = "allow" } };
        await Store.AddAsync(schedule);
        var starter = new FakeStarter(Stores);
        ScheduleWorker[] workers = [.. Enumerable.Range(0, 3).Select(_ => Worker(starter))];

        for (int hour = 0; hour < 5; hour++)
        {
            _time.Advance(TimeSpan.FromHours(1));
            await Task.WhenAll(workers.Select(w => w.FireAsync(CancellationToken.None)));
        }

        Assert.Equal(["01:00", "02:00", "03:00", "04:00", "05:00"], starter.Started.Select(f => f.FireAt.ToString("HH:mm", null)).Order());
        Assert.All(await Store.ListFiringsAsync("ten_a", schedule.Id, null, 10), f => Assert.Equal(FiringState.Started, f.State));
    }

    [Theory]
    [InlineData("decided")]
    [InlineData("started")]
    public async Task Process_ThatDiesInAFiring_LeavesItToAnotherOnce(string after)
    {
        Schedule schedule = Hourly(Ids.New("sch", _time));
        await Store.AddAsync(schedule);
        var starter = new FakeStarter(Stores);
        _time.Advance(TimeSpan.FromHours(1));
        Schedule claimed = Assert.Single(await Store.ClaimDueAsync("dead", _time.GetUtcNow(), Lease, 10));
        await Store.PlanAsync(claimed, "dead", FiringPlan.Of(claimed, _time.GetUtcNow()));
        Firing firing = Assert.Single(await Store.ClaimFiringsAsync("dead", _time.GetUtcNow(), Lease, 10));
        if (after == "started") await starter.StartAsync(claimed, firing, CancellationToken.None);

        ScheduleWorker worker = Worker(starter);
        await worker.FireAsync(CancellationToken.None);
        Assert.Equal(FiringState.Pending, (await Store.FindFiringAsync("ten_a", firing.Id))!.State);
        _time.Advance(Lease);
        await worker.FireAsync(CancellationToken.None);

        Assert.Equal(FiringState.Started, (await Store.FindFiringAsync("ten_a", firing.Id))!.State);
        Assert.Single(starter.Started);
    }

    [Theory]
    [InlineData("skip", "01:00", "02:00 overlap")]
    [InlineData("allow", "01:00 02:00", "")]
    [InlineData("queue", "01:00 02:00", "")]
    [InlineData("cancel_previous", "01:00 02:00", "")]
    public async Task Overlap_IsDecidedByItsPolicy(string overlap, string started, string skipped)
    {
        Schedule schedule = Hourly(Ids.New("sch", _time)) with { Spec = Hourly().Spec with { Overlap = overlap } };
        await Store.AddAsync(schedule);
        var starter = new FakeStarter(Stores) { Ends = false };
        ScheduleWorker worker = Worker(starter);

        _time.Advance(TimeSpan.FromHours(1));
        await worker.FireAsync(CancellationToken.None);
        _time.Advance(TimeSpan.FromHours(1));
        await worker.FireAsync(CancellationToken.None);
        Assert.Equal(overlap == "cancel_previous" ? 1 : 0, starter.Cancelled.Count);
        if (overlap == "queue")
        {
            Assert.Single(starter.Started);
            await starter.EndAllAsync();
        }
        _time.Advance(TimeSpan.FromSeconds(2));
        await worker.FireAsync(CancellationToken.None);

        Assert.Equal(started, string.Join(' ', starter.Started.Select(f => f.FireAt.ToString("HH:mm", null))));
        Assert.Equal(skipped, string.Join(' ', (await Store.ListFiringsAsync("ten_a", schedule.Id, null, 10)).Where(f => f.State == FiringState.Skipped).Select(f => $"{f.FireAt:HH:mm} {f.Reason}")));
    }

    [Fact]
    public async Task Prune_ForgetsOldFirings()
    {
        Schedule schedule = Hourly(Ids.New("sch", _time));
        await Store.AddAsync(schedule);
        _time.Advance(TimeSpan.FromHours(1));
        await Worker(new FakeStarter(Stores)).FireAsync(CancellationToken.None);

        Assert.Equal(0, await Store.PruneAsync(_time.GetUtcNow(), 10));
        Assert.Equal(1, await Store.PruneAsync(_time.GetUtcNow().AddDays(1), 10));
    }

    private ScheduleWorker Worker(IFiringStarter starter) => new(Store, starter, new RunOwner(_time), _time, NullLogger<ScheduleWorker>.Instance);

    /// <summary>Starts runs that are rows and nothing else.</summary>
    private sealed class FakeStarter(IStores stores) : IFiringStarter
    {
        private readonly ConcurrentDictionary<string, NewRun> _runs = new();

        public ConcurrentQueue<Firing> Started { get; } = new();

        public ConcurrentQueue<string> Cancelled { get; } = new();

        public bool Ends { get; init; } = true;

        public async ValueTask<bool> IsStartedAsync(Firing firing) => await stores.Runs.FindAsync(firing.TenantId, firing.RunId) is not null;

        public async ValueTask<string?> StartAsync(Schedule schedule, Firing firing, CancellationToken cancellationToken)
        {
            NewRun sample = RunSamples.Run(firing.TenantId);
            var run = new NewRun { Record = sample.Record with { Id = firing.RunId, ConversationId = null }, Accepted = sample.Accepted, Started = sample.Started, Lease = TimeSpan.FromMinutes(1) };
            await stores.Runs.AcceptAsync(run);
            Started.Enqueue(firing);
            _runs[firing.RunId] = run;
            if (Ends) await EndAllAsync();
            return null;
        }

        public async ValueTask CancelAsync(string tenantId, string runId)
        {
            Cancelled.Enqueue(runId);
            await EndAllAsync();
        }

        public async Task EndAllAsync()
        {
            foreach (string id in _runs.Keys)
                if (_runs.TryRemove(id, out NewRun? run)) await stores.Runs.AppendAsync(RunSamples.End(run));
        }
    }
}

[Trait("Database", "once")]
public sealed class SqliteScheduleStoreTests : ScheduleStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

[Trait("Database", "once")]
public sealed class PostgresScheduleStoreTests : ScheduleStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
