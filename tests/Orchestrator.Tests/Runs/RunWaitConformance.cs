using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>What every store of waits keeps.</summary>
public abstract class RunWaitConformance : StoreTests
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private static readonly WaitResolution Yes = new("approve", "usr_1", "fine", "{\"a\":1}", RunSamples.At.AddMinutes(1));

    [Fact]
    public async Task Park_UntilATime_GivesTheRunToOneWhoAsksThen()
    {
        NewRun run = await AcceptAsync("t1");
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "w")], Parks = new Parking(RunSamples.At.AddHours(1)) });

        RunRecord waiting = (await Stores.Runs.FindAsync("t1", run.Record.Id))!;
        IReadOnlyList<TakenRun> early = await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At.AddMinutes(59), 10);
        IReadOnlyList<TakenRun>[] due = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Stores.Waits.TakeDueAsync($"p{i}", Minute, RunSamples.At.AddHours(1), 10)));

        Assert.Equal((RunStatus.Waiting, null), (waiting.Status, waiting.LeaseOwner));
        Assert.Empty(early);
        TakenRun taken = Assert.Single(due.SelectMany(d => d));
        Assert.Equal((RunStatus.Running, 2L, StopCause.None), (taken.Run.Status, taken.Run.LeaseEpoch, taken.Cancel));
        await Assert.ThrowsAsync<LeaseLostException>(() => Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(4, "x")] }));
        await Stores.Runs.AppendAsync(new RunWrite { Run = taken.Run, Events = [RunSamples.Event(4, "x")] });
        // Nobody takes up what rests, however old its lease.
        Assert.DoesNotContain(await Stores.Leases.TakeUpAsync("p9", Minute, 10), t => t.Run.Status == RunStatus.Waiting);
    }

    [Fact]
    public async Task Resolve_BeforeOrAfterTheRunRests_WakesIt()
    {
        NewRun before = await AcceptAsync("t1"), after = await AcceptAsync("t1");
        RunWait one = Wait(before, WaitKind.Human), two = Wait(after, WaitKind.Human);
        await Stores.Runs.AppendAsync(new RunWrite { Run = before.Record, Events = [RunSamples.Event(3, "w")], Waits = [one] });
        await Stores.Runs.AppendAsync(new RunWrite { Run = after.Record, Events = [RunSamples.Event(3, "w")], Waits = [two] });

        Assert.Equal(ResolveOutcome.Resolved, await Stores.Waits.ResolveAsync(one, Yes));
        await Stores.Runs.AppendAsync(new RunWrite { Run = before.Record, Events = [RunSamples.Event(4, "p")], Parks = new Parking(null) });
        Assert.Equal(before.Record.Id, Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10)).Run.Id);

        await Stores.Runs.AppendAsync(new RunWrite { Run = after.Record, Events = [RunSamples.Event(4, "p")], Parks = new Parking(null) });
        Assert.Empty(await Stores.Waits.TakeDueAsync("p2", Minute, DateTimeOffset.MaxValue.AddYears(-100), 10));
        Assert.Equal(ResolveOutcome.Resolved, await Stores.Waits.ResolveAsync(two, Yes));
        TakenRun taken = Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10));

        RunWait resolved = Assert.Single(await Stores.Waits.ResolvedAsync("t1", after.Record.Id));
        Assert.Equal((WaitState.Resolved, Yes), (resolved.State, resolved.Resolution));
        await Stores.Runs.AppendAsync(new RunWrite { Run = taken.Run, Events = [RunSamples.Event(5, "r")], ClosedWaits = [two.Id] });
        Assert.Empty(await Stores.Waits.ResolvedAsync("t1", after.Record.Id));
        Assert.Equal(WaitState.Consumed, (await Stores.Waits.FindAsync("t1", two.Id))!.State);
    }

    [Fact]
    public async Task Resolve_ByManyAtOnce_SucceedsOnce()
    {
        NewRun run = await AcceptAsync("t1");
        RunWait wait = Wait(run, WaitKind.Human);
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "w")], Waits = [wait] });
        Assert.Equal(wait.Id, Assert.Single(await Stores.Waits.OpenAsync("t1", run.Record.Id, 10)).Id);
        Assert.Empty(await Stores.Waits.OpenAsync("t2", run.Record.Id, 10));

        ResolveOutcome[] outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Stores.Waits.ResolveAsync(wait, Yes with { By = $"usr_{i}" })));

        Assert.Single(outcomes, ResolveOutcome.Resolved);
        Assert.Empty(await Stores.Waits.OpenAsync("t1", run.Record.Id, 10));
        Assert.Equal(ResolveOutcome.NotOpen, await Stores.Waits.ResolveAsync(wait with { TenantId = "t2" }, Yes));
    }

    [Fact]
    public async Task Raise_FindsTheWaitsOfItsNameAndKeyAndTenant()
    {
        NewRun any = await AcceptAsync("t1"), keyed = await AcceptAsync("t1"), foreign = await AcceptAsync("t2");
        foreach ((NewRun run, string? key) in new[] { (any, null), (keyed, "k"), (foreign, (string?)null) })
            await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "w")], Waits = [Wait(run, WaitKind.Event) with { Name = "paid", Key = key }], Parks = new Parking(null) });

        Assert.Empty(await Stores.Waits.RaiseAsync("t1", "other", null, Yes));
        Assert.Equal([any.Record.Id], await Stores.Waits.RaiseAsync("t1", "paid", "x", Yes));
        Assert.Equal([keyed.Record.Id], await Stores.Waits.RaiseAsync("t1", "paid", "k", Yes));
        Assert.Empty(await Stores.Waits.RaiseAsync("t1", "paid", "k", Yes));
        Assert.Equal(new[] { any.Record.Id, keyed.Record.Id }.Order(StringComparer.Ordinal), (await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10)).Select(t => t.Run.Id).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Cancel_OfAWaitingRun_IsToldWithIt_AndItsEndClosesItsWaits()
    {
        NewRun run = await AcceptAsync("t1");
        RunWait wait = Wait(run, WaitKind.Human);
        Assert.False(await Stores.Waits.CancelWaitingAsync("t1", run.Record.Id, StopCause.Requested));
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "w")], Waits = [wait], Parks = new Parking(RunSamples.At.AddYears(1)) });

        Assert.False(await Stores.Waits.CancelWaitingAsync("t2", run.Record.Id, StopCause.Requested));
        Assert.True(await Stores.Waits.CancelWaitingAsync("t1", run.Record.Id, StopCause.Requested));
        TakenRun taken = Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10));
        await Stores.Runs.AppendAsync(new RunWrite { Run = taken.Run, Events = [RunSamples.Event(4, "c")], End = taken.Run with { Status = RunStatus.Cancelled, Output = "[1]"u8.ToArray(), EndedAt = RunSamples.At } });

        Assert.Equal(StopCause.Requested, taken.Cancel);
        Assert.Equal(WaitState.Cancelled, (await Stores.Waits.FindAsync("t1", wait.Id))!.State);
        Assert.Equal("[1]"u8.ToArray(), (await Stores.Runs.FindAsync("t1", run.Record.Id))!.Output);
        Assert.Equal(ResolveOutcome.NotOpen, await Stores.Waits.ResolveAsync(wait, Yes));
    }

    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public async Task Cancel_AskedForWhileItGoesToRest_WakesIt_UnlessItKnows(bool undoing, bool wakes)
    {
        NewRun run = await AcceptAsync("t1");
        Assert.True(await Stores.Leases.RequestCancelAsync("t1", run.Record.Id, StopCause.Requested));

        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "p")], Parks = new Parking(RunSamples.At.AddHours(1)) { Undoing = undoing } });
        IReadOnlyList<TakenRun> taken = await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10);

        Assert.Equal(wakes ? [StopCause.Requested] : [], taken.Select(t => t.Cancel));
    }

    [Fact]
    public async Task End_OfARunThatHasRested_WakesTheOneThatRestsForIt()
    {
        NewRun early = await AcceptAsync("t1"), late = await AcceptAsync("t1");
        foreach (bool first in (bool[])[true, false])
        {
            NewRun parent = first ? early : late, child = await AcceptAsync("t1", parent.Record.Id);
            await Stores.Runs.AppendAsync(new RunWrite { Run = child.Record, Events = [RunSamples.Event(3, "p")], Parks = new Parking(RunSamples.At) });
            TakenRun woken = Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10));
            var rests = new RunWrite { Run = parent.Record, Events = [RunSamples.Event(4, "p")], Parks = new Parking(null) };
            var ends = new RunWrite { Run = woken.Run, Events = [RunSamples.Event(4, "e")], End = woken.Run with { Status = RunStatus.Completed, EndedAt = RunSamples.At } };
            RunWait wait = Wait(parent, WaitKind.Child) with { Name = child.Record.Id };
            await Stores.Runs.AppendAsync(new RunWrite { Run = parent.Record, Events = [RunSamples.Event(3, "w")], Waits = [wait] });

            foreach (RunWrite write in first ? (RunWrite[])[rests, ends] : [ends, rests]) await Stores.Runs.AppendAsync(write);

            Assert.Equal(parent.Record.Id, Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10)).Run.Id);
            Assert.Equal((wait.Id, "ended"), Assert.Single(await Stores.Waits.ResolvedAsync("t1", parent.Record.Id)) is var resolved ? (resolved.Id, resolved.Resolution!.Decision) : default);
            // Nobody is asked, and no event of that name ends it.
            Assert.Empty(await Stores.Waits.ListHumanAsync("t1", default, null, 10));
            Assert.Empty(await Stores.Waits.RaiseAsync("t1", child.Record.Id, null, Yes));
        }
    }

    [Fact]
    public async Task List_OfARun_HasTheQuestionsOfItsStepsToo()
    {
        NewRun root = await AcceptAsync("t1"), child = await AcceptAsync("t1", root.Record.Id), grandchild = await AcceptAsync("t1", child.Record.Id), other = await AcceptAsync("t1");
        foreach (NewRun run in (NewRun[])[grandchild, other])
            await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "w")], Waits = [Wait(run, WaitKind.Human) with { Subject = "{}" }] });

        RunWait found = Assert.Single(await Stores.Waits.ListHumanAsync("t1", new WaitFilter(null, root.Record.Id), null, 10));

        Assert.Equal((grandchild.Record.Id, "{}"), (found.RunId, found.Subject));
        Assert.Empty(await Stores.Waits.ListHumanAsync("t2", new WaitFilter(null, root.Record.Id), null, 10));
    }

    [Fact]
    public async Task Pause_IsKeptUntilTheRunRests_AndNothingButResumingOrCancellingWakesIt()
    {
        NewRun run = await AcceptAsync("t1");
        RunWait wait = Wait(run, WaitKind.Human);
        DateTimeOffset late = RunSamples.At.AddYears(1);
        Assert.False(await Stores.Waits.RequestPauseAsync("t2", run.Record.Id));
        Assert.True(await Stores.Waits.RequestPauseAsync("t1", run.Record.Id));
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "p")], Waits = [wait], Parks = new Parking(RunSamples.At) { Paused = true } });

        Assert.Equal(RunStatus.Paused, (await Stores.Runs.FindAsync("t1", run.Record.Id))!.Status);
        Assert.False(await Stores.Waits.RequestPauseAsync("t1", run.Record.Id));
        Assert.Equal(ResolveOutcome.Resolved, await Stores.Waits.ResolveAsync(wait, Yes));
        Assert.Empty(await Stores.Waits.TakeDueAsync("p2", Minute, late, 10));
        Assert.Empty(await Stores.Leases.TakeUpAsync("p2", Minute, 10));
        Assert.False(await Stores.Waits.ResumeAsync("t2", run.Record.Id));
        Assert.True(await Stores.Waits.ResumeAsync("t1", run.Record.Id));
        Assert.False(await Stores.Waits.ResumeAsync("t1", run.Record.Id));
        TakenRun taken = Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10));
        Assert.False(taken.Pause);
        // Asked again while it waits: it is woken to be put to rest, and a cancelling ends that.
        await Stores.Runs.AppendAsync(new RunWrite { Run = taken.Run, Events = [RunSamples.Event(4, "w")], ClosedWaits = [wait.Id], Parks = new Parking(null) });
        Assert.True(await Stores.Waits.RequestPauseAsync("t1", run.Record.Id));
        taken = Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10));
        Assert.True(taken.Pause);
        await Stores.Runs.AppendAsync(new RunWrite { Run = taken.Run, Events = [RunSamples.Event(5, "p")], Parks = new Parking(null) { Paused = true } });
        Assert.True(await Stores.Waits.CancelWaitingAsync("t1", run.Record.Id, StopCause.Requested));
        taken = Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10));
        Assert.Equal((StopCause.Requested, false), (taken.Cancel, taken.Pause));
    }

    [Fact]
    public async Task Pause_ThatIsTakenBackBeforeTheRunRests_WakesItAtOnce()
    {
        NewRun run = await AcceptAsync("t1");
        await Stores.Waits.RequestPauseAsync("t1", run.Record.Id);
        Assert.True(await Stores.Waits.ResumeAsync("t1", run.Record.Id));
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "p")], Parks = new Parking(null) { Paused = true } });

        Assert.Equal(run.Record.Id, Assert.Single(await Stores.Waits.TakeDueAsync("p2", Minute, RunSamples.At, 10)).Run.Id);
    }

    [Fact]
    public async Task List_ShowsTheTenantsQuestions_NewestFirst()
    {
        var ids = new List<string>();
        for (int i = 0; i < 3; i++)
        {
            NewRun run = await AcceptAsync("t1");
            RunWait wait = Wait(run, WaitKind.Human) with { Id = $"wait_{i}" };
            await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "w")], Waits = [wait, Wait(run, WaitKind.Event) with { Id = $"wait_e{i}", Name = "x" }] });
            ids.Add(wait.Id);
        }
        ids.Reverse();

        IReadOnlyList<RunWait> all = await Stores.Waits.ListHumanAsync("t1", new WaitFilter(WaitState.Open, null), null, 10);
        Assert.Equal(ids, all.Select(w => w.Id));
        Assert.Equal(ids.Skip(1).Take(1), (await Stores.Waits.ListHumanAsync("t1", default, ids[0], 1)).Select(w => w.Id));
        Assert.Equal(all[2], Assert.Single(await Stores.Waits.ListHumanAsync("t1", new WaitFilter(null, all[2].RunId), null, 10)));
        Assert.Empty(await Stores.Waits.ListHumanAsync("t2", default, null, 10));
        Assert.Null(await Stores.Waits.FindAsync("t2", ids[0]));
    }

    private async Task<NewRun> AcceptAsync(string tenant, string? parentRunId = null)
    {
        NewRun sample = RunSamples.Run(tenant);
        var run = new NewRun { Record = sample.Record with { Kind = RunKind.Workflow, ConversationId = null, ParentRunId = parentRunId }, Accepted = sample.Accepted, Started = sample.Started, Lease = Minute };
        await Stores.Runs.AcceptAsync(run);
        return run;
    }

    private static RunWait Wait(NewRun run, WaitKind kind) => new()
    {
        Id = Contracts.Ids.New("wait", RunSamples.At), TenantId = run.Record.TenantId, RunId = run.Record.Id, Path = "/ask", Kind = kind, Role = "admin", Title = "t", Message = "m", Form = "{}",
        RequestedAt = RunSamples.At, ExpiresAt = RunSamples.At.AddHours(2), EscalateAt = RunSamples.At.AddHours(1), EscalateRole = "owner",
    };
}

[Trait("Database", "once")]
public sealed class SqliteRunWaitTests : RunWaitConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

[Trait("Database", "once")]
public sealed class PostgresRunWaitTests : RunWaitConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
