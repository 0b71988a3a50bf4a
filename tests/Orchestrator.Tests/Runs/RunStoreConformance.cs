using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>What every store of runs keeps; a further implementation derives from this.</summary>
public abstract class RunStoreConformance
{
    private static readonly DateTimeOffset At = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private protected abstract IRunStore Store { get; }

    [Fact]
    public async Task Accept_NewRun_IsThereWithItsEvents()
    {
        NewRun run = Run("t1");

        Assert.IsType<AcceptOutcome.Started>(await Store.AcceptAsync(run));

        RunRecord stored = Store.Find("t1", run.Record.Id)!;
        Assert.Equal(run.Record with { Status = RunStatus.Running }, stored);
        Assert.Equal([1, 2], Store.Events("t1", run.Record.Id, 0, 10).Select(e => e.Seq));
        Assert.Equal("{\"n\":2}", Encoding.UTF8.GetString(Assert.Single(Store.Events("t1", run.Record.Id, 1, 10)).Data));
    }

    [Fact]
    public async Task Anything_OfAnotherTenant_IsNotThere()
    {
        NewRun run = Run("t1", key: "k");
        await Store.AcceptAsync(run);

        Assert.Null(Store.Find("t2", run.Record.Id));
        Assert.Null(Store.FindByKey("t2", "k"));
        Assert.Empty(Store.Events("t2", run.Record.Id, 0, 10));
        Assert.Null(Store.LastEvent("t2", run.Record.Id, "a"));
        Assert.Empty(Store.List("t2", default, null, 10));
        Assert.Empty(Store.History("t2", run.Record.ConversationId!, "", 10));
        Assert.Null(await Store.StartNextAsync("t2", run.Record.ConversationId!, At));
    }

    [Fact]
    public async Task Accept_SameKeyAtOnce_OneRunWins()
    {
        NewRun[] runs = [.. Enumerable.Range(0, 20).Select(_ => Run("t1", key: "k"))];

        AcceptOutcome[] outcomes = await Task.WhenAll(runs.Select(Store.AcceptAsync));

        Assert.Single(outcomes.OfType<AcceptOutcome.Started>());
        Assert.Single(outcomes.OfType<AcceptOutcome.Existing>().Select(e => e.Run.Id).Distinct());
        Assert.IsType<AcceptOutcome.KeyReused>(await Store.AcceptAsync(Run("t1", key: "k", hash: "other")));
        Assert.Single(Store.List("t1", default, null, 100));
    }

    [Fact]
    public async Task Keys_OfOldRuns_AreForgottenInBatches()
    {
        await Store.AcceptAsync(Run("t1", key: "a"));
        await Store.AcceptAsync(Run("t2", key: "b"));
        await Store.AcceptAsync(Run("t1"));

        Assert.Equal(0, await Store.ForgetKeysAsync(At, 10));
        Assert.Equal(1, await Store.ForgetKeysAsync(At.AddSeconds(1), 1));
        Assert.Equal(1, await Store.ForgetKeysAsync(At.AddSeconds(1), 10));
        Assert.Null(Store.FindByKey("t1", "a"));
        Assert.IsType<AcceptOutcome.Started>(await Store.AcceptAsync(Run("t1", key: "a", hash: "other")));
    }

    [Fact]
    public async Task Conversation_Busy_RejectsQueuesOrSupersedes()
    {
        NewRun first = Run("t1");
        await Store.AcceptAsync(first);
        string conversation = first.Record.ConversationId!;

        Assert.Equal(first.Record.Id, Assert.IsType<AcceptOutcome.Busy>(await Store.AcceptAsync(Run("t1", conversation, BusyPolicy.Reject))).RunId);
        NewRun second = Run("t1", conversation, BusyPolicy.Queue);
        Assert.Empty(Assert.IsType<AcceptOutcome.Queued>(await Store.AcceptAsync(second)).Superseded);
        NewRun third = Run("t1", conversation, BusyPolicy.Interrupt);
        Assert.Equal([first.Record.Id, second.Record.Id], Assert.IsType<AcceptOutcome.Queued>(await Store.AcceptAsync(third)).Superseded);
        Assert.IsType<AcceptOutcome.QueueFull>(await Store.AcceptAsync(Run("t1", conversation, BusyPolicy.Queue)));
        Assert.Equal(RunStatus.Queued, Store.Find("t1", second.Record.Id)!.Status);
        Assert.Single(Store.Events("t1", second.Record.Id, 0, 10));

        Assert.Null(await Store.StartNextAsync("t1", conversation, At));
        await Store.AppendAsync(End(first));
        Assert.Equal(second.Record.Id, await Store.StartNextAsync("t1", conversation, At));
        Assert.Null(await Store.StartNextAsync("t1", conversation, At));
        Assert.False(await Store.CancelQueuedAsync(End(second)));
        Assert.True(await Store.CancelQueuedAsync(End(third)));
    }

    [Fact]
    public async Task Accept_UnknownConversation_IsNotFound() =>
        Assert.IsType<AcceptOutcome.ConversationNotFound>(await Store.AcceptAsync(Run("t1", "conv_none")));

    [Fact]
    public async Task End_Run_IsFinalOnce()
    {
        NewRun run = Run("t1");
        await Store.AcceptAsync(run);
        Assert.Contains(Store.Unfinished(null, 100), r => r.Id == run.Record.Id);

        await Store.AppendAsync(End(run));

        RunRecord ended = Store.Find("t1", run.Record.Id)!;
        Assert.Equal((RunStatus.Completed, "why", 3, 0.25m), (ended.Status, ended.Reason, ended.Steps, ended.CostUsd));
        Assert.DoesNotContain(Store.Unfinished(null, 100), r => r.Id == run.Record.Id);
        Assert.Equal("{\"n\":3}", Encoding.UTF8.GetString(Store.LastEvent("t1", run.Record.Id, "c")!));
        await Assert.ThrowsAnyAsync<Exception>(() => Store.AppendAsync(End(run)));
        Assert.Equal(3, Store.Events("t1", run.Record.Id, 0, 10).Count);
    }

    [Fact]
    public async Task Append_SameNumberTwice_ChangesNothing()
    {
        NewRun run = Run("t1");
        await Store.AcceptAsync(run);

        await Assert.ThrowsAnyAsync<Exception>(() => Store.AppendAsync(new RunWrite { Run = run.Record, Events = [Event(3, "x"), Event(2, "b")] }));

        Assert.Equal(2, Store.Events("t1", run.Record.Id, 0, 10).Count);
    }

    [Fact]
    public async Task List_Runs_NewestFirstFilteredAndPaged()
    {
        var ids = new List<string>();
        for (int i = 0; i < 5; i++)
        {
            NewRun run = Run("t1");
            await Store.AcceptAsync(run);
            if (i == 2) await Store.AppendAsync(End(run));
            ids.Insert(0, run.Record.Id);
        }
        ids.Sort((a, b) => string.CompareOrdinal(b, a));

        Assert.Equal(ids, Store.List("t1", default, null, 10).Select(r => r.Id));
        Assert.Equal(ids[2..4], Store.List("t1", default, ids[1], 2).Select(r => r.Id));
        Assert.Single(Store.List("t1", new RunFilter(RunStatus.Completed, null, null), null, 10));
        Assert.Empty(Store.List("t1", new RunFilter(null, "other", null), null, 10));
    }

    [Fact]
    public async Task History_OfAConversation_IsInOrderWithoutTheRunItself()
    {
        NewRun first = Run("t1", text: "one");
        await Store.AcceptAsync(first);
        await Store.AppendAsync(End(first));
        NewRun second = Run("t1", first.Record.ConversationId, text: "two");
        await Store.AcceptAsync(second);

        Assert.Equal(["\"one\""], Store.History("t1", first.Record.ConversationId!, second.Record.Id, 10).Select(Encoding.UTF8.GetString));
        Assert.Equal(["\"two\""], Store.History("t1", first.Record.ConversationId!, "", 1).Select(Encoding.UTF8.GetString));
    }

    private static NewRun Run(string tenant, string? conversation = null, BusyPolicy onBusy = BusyPolicy.Reject, string? key = null, string hash = "h", string text = "hi") => new()
    {
        Record = new RunRecord
        {
            Id = Ids.New("run", At), TenantId = tenant, ConversationId = conversation ?? Ids.New("conv", At), AgentId = "agt_1", Agent = "helper", AgentVersion = 2, Surface = "chat",
            Status = RunStatus.Running, IdempotencyKey = key, RequestHash = key is null ? null : hash, RequestId = "req", ApiKeyId = "key", UserId = "usr", JourneyId = "jrn",
            Metadata = "{}", CreatedAt = At, StartedAt = At,
        },
        Accepted = [Event(1, "a")],
        Started = [Event(2, "b")],
        Messages = [new NewMessage(Ids.New("msg", At), "user", true, Encoding.UTF8.GetBytes($"\"{text}\""), At)],
        CreateConversation = conversation is null,
        OnBusy = onBusy,
        MaxQueued = 2,
    };

    private static RunWrite End(NewRun run) => new()
    {
        Run = run.Record,
        Events = [Event(3, "c")],
        End = run.Record with { Status = RunStatus.Completed, Reason = "why", Steps = 3, CostUsd = 0.25m, EndedAt = At },
    };

    private static RunEvent Event(long seq, string type) => new() { Seq = seq, Type = type, At = At, Data = Encoding.UTF8.GetBytes($"{{\"n\":{seq}}}") };
}
