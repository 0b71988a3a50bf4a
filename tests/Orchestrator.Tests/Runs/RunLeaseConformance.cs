using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>What every store of leases keeps.</summary>
public abstract class RunLeaseConformance : StoreTests
{
    private protected static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task TakeUp_OfAForsakenRun_FencesItsEarlierHolderOff()
    {
        NewRun run = RunSamples.Run("t1", lease: TimeSpan.Zero), other = RunSamples.Run("t2", lease: TimeSpan.Zero);
        await Stores.Runs.AcceptAsync(run);
        await Stores.Runs.AcceptAsync(other);

        IReadOnlyList<TakenRun> taken = await Stores.Leases.TakeUpAsync("p2", Minute, 10);

        Assert.Equal(new[] { run.Record.Id, other.Record.Id }.Order(StringComparer.Ordinal), taken.Select(t => t.Run.Id));
        Assert.All(taken, t => Assert.Equal(("p2", 2L, StopCause.None), (t.Run.LeaseOwner, t.Run.LeaseEpoch, t.Cancel)));
        Assert.Equal(("p2", 2L), ((await Stores.Runs.FindAsync("t1", run.Record.Id))!.LeaseOwner, (await Stores.Runs.FindAsync("t1", run.Record.Id))!.LeaseEpoch));
        await Assert.ThrowsAsync<LeaseLostException>(() => Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "x")] }));
        await Assert.ThrowsAsync<LeaseLostException>(() => Stores.Runs.AppendAsync(RunSamples.End(run)));
        Assert.Equal(2, (await Stores.Runs.EventsAsync("t1", run.Record.Id, 0, 10)).Count);
        Assert.Empty(await Stores.OutboxAsync());

        RunRecord mine = taken.Single(t => t.Run.TenantId == "t1").Run;
        await Stores.Runs.AppendAsync(new RunWrite { Run = mine, Events = [RunSamples.Event(3, "x")] });
        await Stores.Runs.AppendAsync(new RunWrite { Run = mine, Events = [RunSamples.Event(4, "c")], End = mine with { Status = RunStatus.Completed, EndedAt = RunSamples.At } });
        Assert.Equal([1, 2, 3, 4], (await Stores.Runs.EventsAsync("t1", run.Record.Id, 0, 10)).Select(e => e.Seq));
        Assert.Empty(await Stores.Leases.TakeUpAsync("p2", Minute, 10));
    }

    [Fact]
    public async Task TakeUp_ComesInPagesOldestFirst()
    {
        var ids = new List<string>();
        for (int i = 0; i < 5; i++)
        {
            NewRun run = RunSamples.Run("t1", lease: TimeSpan.Zero);
            await Stores.Runs.AcceptAsync(run);
            ids.Add(run.Record.Id);
        }
        ids.Sort(StringComparer.Ordinal);
        var seen = new List<string>();
        while (await Stores.Leases.TakeUpAsync("p2", Minute, 2) is { Count: > 0 } page) seen.AddRange(page.Select(t => t.Run.Id));

        Assert.Equal(ids, seen);
    }

    [Fact]
    public async Task TakeUp_OfARunThatWasToBeCancelled_SaysSo()
    {
        NewRun run = RunSamples.Run("t1", lease: TimeSpan.Zero), other = RunSamples.Run("t1", lease: TimeSpan.Zero);
        await Stores.Runs.AcceptAsync(run);
        await Stores.Runs.AcceptAsync(other);

        Assert.False(await Stores.Leases.RequestCancelAsync("t2", run.Record.Id, StopCause.Requested));
        Assert.True(await Stores.Leases.RequestCancelAsync("t1", run.Record.Id, StopCause.Requested));
        IReadOnlyList<TakenRun> taken = await Stores.Leases.TakeUpAsync("p2", Minute, 10);

        Assert.Equal((StopCause.Requested, StopCause.None), (taken.Single(t => t.Run.Id == run.Record.Id).Cancel, taken.Single(t => t.Run.Id == other.Record.Id).Cancel));
    }

    [Fact]
    public async Task Queue_OfAForsakenConversation_GoesOnInOrder()
    {
        NewRun first = RunSamples.Run("t1", lease: TimeSpan.Zero);
        await Stores.Runs.AcceptAsync(first);
        NewRun second = RunSamples.Run("t1", first.Record.ConversationId, BusyPolicy.Queue, lease: TimeSpan.Zero);
        await Stores.Runs.AcceptAsync(second);

        IReadOnlyList<TakenRun> taken = await Stores.Leases.TakeUpAsync("p2", Minute, 10);
        RunRecord mine = taken.Single(t => t.Run.Id == first.Record.Id).Run;
        Assert.Null(await Stores.Runs.StartNextAsync("t1", mine.ConversationId!, RunSamples.At));
        await Stores.Runs.AppendAsync(new RunWrite { Run = mine, Events = [RunSamples.Event(3, "c")], End = mine with { Status = RunStatus.Completed, EndedAt = RunSamples.At } });

        Assert.Equal(new StartedNext(second.Record.Id, "p2"), await Stores.Runs.StartNextAsync("t1", mine.ConversationId!, RunSamples.At));
    }
}

[Trait("Database", "once")]
public sealed class SqliteRunLeaseTests : RunLeaseConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}
