using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>Takes up runs that nobody holds, and goes on with each from the end of its log.</summary>
internal sealed partial class RunTakeUp(RunEngine engine, IRunStore store, IRunLeases leases, IRunWaits waits, RunOwner owner, AgentCatalogue agents, IWorkflowSource workflows, FlowSnapshots snapshots, IOptions<RunsOptions> options, RunMetrics metrics, TimeProvider time, ILogger<RunTakeUp> logger)
{
    private const int Page = 200;

    /// <summary>Takes up all that are free now.</summary>
    public async Task TakeUpAsync(CancellationToken cancellationToken)
    {
        int count = 0;
        var waiting = new HashSet<(string TenantId, string ConversationId)>();
        IReadOnlyList<TakenRun> page;
        do
        {
            page = await leases.TakeUpAsync(owner.Name, options.Value.Lease, Page);
            foreach (TakenRun taken in page)
            {
                RunRecord run = taken.Run;
                try
                {
                    await ResumeAsync(taken, cancellationToken);
                    if (run is { Status: RunStatus.Queued, ConversationId: not null }) waiting.Add((run.TenantId, run.ConversationId));
                    count++;
                    metrics.TakenUp("lease");
                }
                catch (Exception e) when (e is not OperationCanceledException)
                {
                    LogNotResumed(e, run.Id);
                    await FailAsync(run);
                }
            }
        }
        while (page.Count == Page);
        foreach ((string tenantId, string conversationId) in waiting) await engine.StartNextAsync(tenantId, conversationId);
        if (count > 0) LogResumed(count);
    }

    /// <summary>Takes up waiting runs whose time has come; returns how many.</summary>
    public async Task<int> WakeAsync(CancellationToken cancellationToken)
    {
        IReadOnlyList<TakenRun> due = await waits.TakeDueAsync(owner.Name, options.Value.Lease, time.GetUtcNow(), Page);
        foreach (TakenRun taken in due)
        {
            try
            {
                await ResumeAsync(taken, cancellationToken);
                metrics.TakenUp("wake");
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogNotResumed(e, taken.Run.Id);
                await FailAsync(taken.Run);
            }
        }
        return due.Count;
    }

    private async Task ResumeAsync(TakenRun taken, CancellationToken cancellationToken)
    {
        RunRecord run = taken.Run;
        if (run.Kind == RunKind.Workflow)
        {
            await ResumeWorkflowAsync(taken, cancellationToken);
            return;
        }
        CompiledAgent agent = await agents.FindVersionAsync(run.TenantId, run.AgentId, run.AgentVersion, cancellationToken)
            ?? throw new InvalidOperationException($"Version {run.AgentVersion} of agent {run.AgentId} is gone.");
        List<RunEvent> events = await EventsAsync(run);
        RunInput input = RunInput.FromEvent(events[0].Data);
        var live = new LiveRun(run, agent, input) { StoredBefore = events.Count, LastProgress = time.GetTimestamp() };
        // Before it begins: a run that was to be cancelled makes no further call.
        if (taken.Cancel != StopCause.None) live.Stop(taken.Cancel);
        live.PauseRequested = taken.Pause;
        if (run.Status == RunStatus.Queued)
        {
            await engine.ResumeAsync(live, null);
            if (taken.Cancel != StopCause.None) await engine.CancelAsync(run.TenantId, run.Id, taken.Cancel);
            return;
        }
        History history = await RunExecution.HistoryAsync(store, run, input);
        await engine.ResumeAsync(live, RunReplay.Rebuild(agent, input, history, events, options.Value.MaxIdenticalRounds));
    }

    private async Task ResumeWorkflowAsync(TakenRun taken, CancellationToken cancellationToken)
    {
        RunRecord run = taken.Run;
        WorkflowVersion workflow = await workflows.FindVersionAsync(run.TenantId, run.AgentId, run.AgentVersion, cancellationToken)
            ?? throw new InvalidOperationException($"Version {run.AgentVersion} of workflow {run.AgentId} is gone.");
        StoredFlow stored = await snapshots.ReadAsync(run.TenantId, run.Id) ?? throw new InvalidOperationException($"Run {run.Id} has no log.");
        var live = new LiveRun(run, null, stored.Input) { StoredBefore = stored.Seq, LastProgress = time.GetTimestamp() };
        if (taken.Cancel != StopCause.None) live.Stop(taken.Cancel);
        live.PauseRequested = taken.Pause;
        engine.Resume(live, workflow, stored);
    }

    private async Task<List<RunEvent>> EventsAsync(RunRecord run)
    {
        var events = new List<RunEvent>();
        while (await store.EventsAsync(run.TenantId, run.Id, events.Count, 1000) is { Count: > 0 } more) events.AddRange(more);
        return events;
    }

    // A run that cannot go on must not look as if it did.
    private async Task FailAsync(RunRecord run)
    {
        try
        {
            long last = await store.LastSeqAsync(run.TenantId, run.Id);
            RunRecord end = run with { Status = RunStatus.Failed, Error = new RunError(500, ErrorCodes.InternalError, "The run could not be taken up after a restart."), EndedAt = time.GetUtcNow() };
            var log = new RunLog(run, time, last);
            log.Ended(end);
            await store.AppendAsync(new RunWrite { Run = run, Events = log.Take(), End = end, Event = RunEndedEvent.Of(end), DropsSnapshot = true });
        }
        catch (Exception e)
        {
            LogNotResumed(e, run.Id);
        }
    }

    [LoggerMessage(EventId = 1, EventName = "RunsResumed", Level = LogLevel.Information, Message = "{Count} unfinished runs were taken up")]
    private partial void LogResumed(int count);

    [LoggerMessage(EventId = 2, EventName = "RunNotResumed", Level = LogLevel.Error, Message = "Run {RunId} could not be taken up")]
    private partial void LogNotResumed(Exception e, string runId);
}
