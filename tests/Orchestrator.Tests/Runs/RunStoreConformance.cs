using System.Text;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>What every store of runs keeps; a further implementation derives from this.</summary>
public abstract partial class RunStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = RunSamples.At;

    private IRunStore Store => Stores.Runs;

    [Fact]
    public async Task End_ThatRemovesMessages_LeavesThoseOfOtherRuns()
    {
        NewRun first = RunSamples.Run("t1", text: "one");
        await Stores.Runs.AcceptAsync(first);
        await Stores.Runs.AppendAsync(RunSamples.End(first));
        NewRun second = RunSamples.Run("t1", first.Record.ConversationId, text: "two");
        await Stores.Runs.AcceptAsync(second);
        RunWrite end = RunSamples.End(second);
        await Stores.Runs.AppendAsync(new RunWrite { Run = end.Run, Events = end.Events, End = end.End, RemovesMessages = true, Messages = [new NewMessage(Contracts.Ids.New("msg", RunSamples.At), "assistant", true, "\"late\""u8.ToArray(), RunSamples.At)] });

        IReadOnlyList<byte[]> left = [.. (await Stores.Runs.HistoryAsync("t1", first.Record.ConversationId!, "run_none", 10)).Messages.Select(m => m.Wire)];

        Assert.Equal(["\"one\""], left.Select(System.Text.Encoding.UTF8.GetString));
    }

    [Fact]
    public async Task Accept_NewRun_IsThereWithItsEvents()
    {
        NewRun run = RunSamples.Run("t1");

        Assert.IsType<AcceptOutcome.Started>(await Store.AcceptAsync(run));

        RunRecord stored = (await Store.FindAsync("t1", run.Record.Id))!;
        Assert.Equal(run.Record with { Status = RunStatus.Running }, stored);
        Assert.Equal([1, 2], (await Store.EventsAsync("t1", run.Record.Id, 0, 10)).Select(e => e.Seq));
        Assert.Equal(2, await Store.LastSeqAsync("t1", run.Record.Id));
        Assert.Equal("{\"n\":2}", Encoding.UTF8.GetString(Assert.Single(await Store.EventsAsync("t1", run.Record.Id, 1, 10)).Data));
    }

    [Fact]
    public async Task Anything_OfAnotherTenant_IsNotThere()
    {
        NewRun run = RunSamples.Run("t1", key: "k");
        await Store.AcceptAsync(run);

        Assert.Null(await Store.FindAsync("t2", run.Record.Id));
        Assert.Null(await Store.FindByKeyAsync("t2", "k"));
        Assert.Empty(await Store.EventsAsync("t2", run.Record.Id, 0, 10));
        Assert.Equal(0, await Store.LastSeqAsync("t2", run.Record.Id));
        Assert.Null(await Store.LastEventAsync("t2", run.Record.Id, "a"));
        Assert.Empty(await Store.ListAsync("t2", default, null, 10));
        Assert.Empty((await Store.HistoryAsync("t2", run.Record.ConversationId!, "", 10)).Messages);
        Assert.Null(await Store.StartNextAsync("t2", run.Record.ConversationId!, At));
    }

    [Fact]
    public async Task Accept_SameKeyAtOnce_OneRunWins()
    {
        NewRun[] runs = [.. Enumerable.Range(0, 20).Select(_ => RunSamples.Run("t1", key: "k"))];

        AcceptOutcome[] outcomes = await Task.WhenAll(runs.Select(Store.AcceptAsync));

        Assert.Single(outcomes.OfType<AcceptOutcome.Started>());
        Assert.Single(outcomes.OfType<AcceptOutcome.Existing>().Select(e => e.Run.Id).Distinct());
        Assert.IsType<AcceptOutcome.KeyReused>(await Store.AcceptAsync(RunSamples.Run("t1", key: "k", hash: "other")));
        Assert.Single(await Store.ListAsync("t1", default, null, 100));
    }

    [Fact]
    public async Task Keys_OfOldRuns_AreForgottenInBatches()
    {
        await Store.AcceptAsync(RunSamples.Run("t1", key: "a"));
        await Store.AcceptAsync(RunSamples.Run("t2", key: "b"));
        await Store.AcceptAsync(RunSamples.Run("t1"));

        Assert.Equal(0, await Store.ForgetKeysAsync(At, 10));
        Assert.Equal(1, await Store.ForgetKeysAsync(At.AddSeconds(1), 1));
        Assert.Equal(1, await Store.ForgetKeysAsync(At.AddSeconds(1), 10));
        Assert.Null(await Store.FindByKeyAsync("t1", "a"));
        Assert.IsType<AcceptOutcome.Started>(await Store.AcceptAsync(RunSamples.Run("t1", key: "a", hash: "other")));
    }

    [Fact]
    public async Task Conversation_Busy_RejectsQueuesOrSupersedes()
    {
        NewRun first = RunSamples.Run("t1");
        await Store.AcceptAsync(first);
        string conversation = first.Record.ConversationId!;

        Assert.Equal(first.Record.Id, Assert.IsType<AcceptOutcome.Busy>(await Store.AcceptAsync(RunSamples.Run("t1", conversation, BusyPolicy.Reject))).RunId);
        NewRun second = RunSamples.Run("t1", conversation, BusyPolicy.Queue);
        Assert.Empty(Assert.IsType<AcceptOutcome.Queued>(await Store.AcceptAsync(second)).Superseded);
        NewRun third = RunSamples.Run("t1", conversation, BusyPolicy.Interrupt);
        Assert.Equal([first.Record.Id, second.Record.Id], Assert.IsType<AcceptOutcome.Queued>(await Store.AcceptAsync(third)).Superseded);
        Assert.IsType<AcceptOutcome.QueueFull>(await Store.AcceptAsync(RunSamples.Run("t1", conversation, BusyPolicy.Queue)));
        Assert.Equal(RunStatus.Queued, (await Store.FindAsync("t1", second.Record.Id))!.Status);
        Assert.Single(await Store.EventsAsync("t1", second.Record.Id, 0, 10));

        Assert.Null(await Store.StartNextAsync("t1", conversation, At));
        await Store.AppendAsync(RunSamples.End(first));
        Assert.Equal(new StartedNext(second.Record.Id, "p1"), await Store.StartNextAsync("t1", conversation, At));
        Assert.Null(await Store.StartNextAsync("t1", conversation, At));
        Assert.False(await Store.CancelQueuedAsync(RunSamples.End(second)));
        Assert.True(await Store.CancelQueuedAsync(RunSamples.End(third)));
    }

    [Fact]
    public async Task Accept_UnknownConversation_IsNotFound() =>
        Assert.IsType<AcceptOutcome.ConversationNotFound>(await Store.AcceptAsync(RunSamples.Run("t1", "conv_none")));

    [Fact]
    public async Task End_Run_IsFinalOnce()
    {
        NewRun run = RunSamples.Run("t1");
        await Store.AcceptAsync(run);
        await Store.AppendAsync(RunSamples.End(run));

        RunRecord ended = (await Store.FindAsync("t1", run.Record.Id))!;
        Assert.Equal((RunStatus.Completed, "why", 3, 0.25m), (ended.Status, ended.Reason, ended.Steps, ended.CostUsd));
        Assert.Empty(await Stores.Leases.TakeUpAsync("p2", TimeSpan.FromMinutes(1), 10));
        Assert.Equal("{\"n\":3}", Encoding.UTF8.GetString((await Store.LastEventAsync("t1", run.Record.Id, "c"))!));
        await Assert.ThrowsAsync<LeaseLostException>(() => Store.AppendAsync(RunSamples.End(run)));
        await Assert.ThrowsAsync<LeaseLostException>(() => Store.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(4, "x")] }));
        Assert.Equal(3, (await Store.EventsAsync("t1", run.Record.Id, 0, 10)).Count);
    }

    [Fact]
    public async Task Append_SameNumberTwice_ChangesNothing()
    {
        NewRun run = RunSamples.Run("t1");
        await Store.AcceptAsync(run);

        await Assert.ThrowsAnyAsync<Exception>(() => Store.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "x"), RunSamples.Event(2, "b")] }));

        Assert.Equal(2, (await Store.EventsAsync("t1", run.Record.Id, 0, 10)).Count);
    }

    [Fact]
    public async Task List_Runs_NewestFirstFilteredAndPaged()
    {
        var ids = new List<string>();
        for (int i = 0; i < 5; i++)
        {
            NewRun run = RunSamples.Run("t1");
            await Store.AcceptAsync(run);
            if (i == 2) await Store.AppendAsync(RunSamples.End(run));
            ids.Insert(0, run.Record.Id);
        }
        ids.Sort((a, b) => string.CompareOrdinal(b, a));

        Assert.Equal(ids, (await Store.ListAsync("t1", default, null, 10)).Select(r => r.Id));
        Assert.Equal(ids[2..4], (await Store.ListAsync("t1", default, ids[1], 2)).Select(r => r.Id));
        Assert.Single(await Store.ListAsync("t1", new RunFilter(RunStatus.Completed, null, null), null, 10));
        Assert.Empty(await Store.ListAsync("t1", new RunFilter(null, "other", null), null, 10));
    }

    [Fact]
    public async Task History_OfAConversation_IsInOrderWithoutTheRunItself()
    {
        NewRun first = RunSamples.Run("t1", text: "one");
        await Store.AcceptAsync(first);
        await Store.AppendAsync(RunSamples.End(first));
        NewRun second = RunSamples.Run("t1", first.Record.ConversationId, text: "two");
        await Store.AcceptAsync(second);

        Assert.Equal(["\"one\""], (await Store.HistoryAsync("t1", first.Record.ConversationId!, second.Record.Id, 10)).Messages.Select(m => m.Wire).Select(Encoding.UTF8.GetString));
        Assert.Equal(["\"two\""], (await Store.HistoryAsync("t1", first.Record.ConversationId!, "", 1)).Messages.Select(m => m.Wire).Select(Encoding.UTF8.GetString));
    }
}
