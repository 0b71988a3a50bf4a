using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

[Trait("Database", "once")]
public sealed class PostgresRunStoreTests : RunStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();

    [Fact]
    public async Task Texts_WithANul_AreStoredAllTheSame()
    {
        NewRun run = RunSamples.Run("t1");
        await Stores.Runs.AcceptAsync(run);

        await Stores.Runs.AppendAsync(new RunWrite
        {
            Run = run.Record,
            Events = [RunSamples.Event(3, "c")],
            End = run.Record with { Status = RunStatus.Failed, Error = new RunError(502, "provider_error", "a\0b"), EndedAt = RunSamples.At },
        });

        Assert.Equal("a\uFFFDb", (await Stores.Runs.FindAsync("t1", run.Record.Id))!.Error!.Message);
    }

    [Fact]
    public async Task Appends_OfManyRunsAtOnce_AreAllThereInOrder()
    {
        NewRun[] runs = [.. Enumerable.Range(0, 60).Select(i => RunSamples.Run($"t{i % 5}"))];
        await Task.WhenAll(runs.Select(async run =>
        {
            await Stores.Runs.AcceptAsync(run);
            for (int seq = 3; seq < 10; seq++) await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(seq, "x")] });
        }));

        foreach (NewRun run in runs) Assert.Equal(Enumerable.Range(1, 9).Select(i => (long)i), (await Stores.Runs.EventsAsync(run.Record.TenantId, run.Record.Id, 0, 100)).Select(e => e.Seq));
    }
}

[Trait("Database", "once")]
public sealed class PostgresRunLeaseTests : RunLeaseConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();

    [Fact]
    public async Task TakeUp_BySeveralAtOnce_GivesEachRunToOne()
    {
        NewRun[] runs = [.. Enumerable.Range(0, 40).Select(_ => RunSamples.Run("t1", lease: TimeSpan.Zero))];
        foreach (NewRun run in runs) await Stores.Runs.AcceptAsync(run);
        async Task<List<string>> TakeAsync(string owner)
        {
            var taken = new List<string>();
            while (await Stores.Leases.TakeUpAsync(owner, Minute, 3) is { Count: > 0 } some) taken.AddRange(some.Select(t => t.Run.Id));
            return taken;
        }

        List<string>[] taken = await Task.WhenAll(Enumerable.Range(2, 4).Select(i => Task.Run(() => TakeAsync($"p{i}"))));

        Assert.Equal(runs.Select(r => r.Record.Id).Order(StringComparer.Ordinal), taken.SelectMany(t => t).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Lease_ThatIsRenewed_IsNotTakenUp()
    {
        NewRun kept = RunSamples.Run("t1", lease: TimeSpan.Zero), left = RunSamples.Run("t2", lease: TimeSpan.Zero);
        await Stores.Runs.AcceptAsync(kept);
        await Stores.Runs.AcceptAsync(left);

        Assert.Equal([kept.Record.Id], await Stores.Leases.RenewAsync("p1", Minute, [kept.Record.Id, "run_none"]));
        Assert.Empty(await Stores.Leases.RenewAsync("p9", Minute, [kept.Record.Id]));
        Assert.Equal(left.Record.Id, Assert.Single(await Stores.Leases.TakeUpAsync("p2", Minute, 10)).Run.Id);
        Assert.Equal([kept.Record.Id], await Stores.Leases.RenewAsync("p1", Minute, [kept.Record.Id, left.Record.Id]));
    }

    [Fact]
    public async Task Release_LetsAnotherGoOnAtOnce()
    {
        NewRun run = RunSamples.Run("t1");
        await Stores.Runs.AcceptAsync(run);
        Assert.Empty(await Stores.Leases.TakeUpAsync("p2", Minute, 10));

        await Stores.Leases.ReleaseAsync("p1");

        Assert.Equal(run.Record.Id, Assert.Single(await Stores.Leases.TakeUpAsync("p2", Minute, 10)).Run.Id);
    }

    [Fact]
    public async Task Cancel_AskedForElsewhere_ReachesTheHolderAndWhoTakesUp()
    {
        NewRun held = RunSamples.Run("t1"), free = RunSamples.Run("t1", lease: TimeSpan.Zero);
        await Stores.Runs.AcceptAsync(held);
        await Stores.Runs.AcceptAsync(free);

        Assert.False(await Stores.Leases.RequestCancelAsync("t2", held.Record.Id, StopCause.Requested));
        Assert.True(await Stores.Leases.RequestCancelAsync("t1", held.Record.Id, StopCause.Superseded));
        Assert.True(await Stores.Leases.RequestCancelAsync("t1", free.Record.Id, StopCause.Requested));

        Assert.Contains(new RunSignal(held.Record.Id, false, StopCause.Superseded), await Stores.Leases.SignalsAsync("p1", []));
        Assert.Empty(await Stores.Leases.SignalsAsync("p2", []));
        Assert.Equal(StopCause.Requested, Assert.Single(await Stores.Leases.TakeUpAsync("p2", Minute, 10)).Cancel);
        await Stores.Runs.AppendAsync(RunSamples.End(held));
        Assert.False(await Stores.Leases.RequestCancelAsync("t1", held.Record.Id, StopCause.Requested));
    }

    [Fact]
    public async Task Turn_GivenByAnotherProcess_IsHeardByTheHolder()
    {
        NewRun first = RunSamples.Run("t1");
        await Stores.Runs.AcceptAsync(first);
        NewRun second = RunSamples.Run("t1", first.Record.ConversationId, BusyPolicy.Queue);
        await Stores.Runs.AcceptAsync(second);
        Assert.Empty(await Stores.Leases.SignalsAsync("p1", [second.Record.Id]));

        await Stores.Runs.AppendAsync(RunSamples.End(first));
        await Stores.Runs.StartNextAsync("t1", first.Record.ConversationId!, RunSamples.At);

        Assert.Equal([new RunSignal(second.Record.Id, true, StopCause.None)], await Stores.Leases.SignalsAsync("p1", [second.Record.Id]));
        Assert.Empty(await Stores.Leases.SignalsAsync("p1", []));
    }
}
