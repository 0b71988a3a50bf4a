using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Orchestrator.Workflows.Execution;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Starts runs, keeps the active ones, stops them, and passes a conversation's turn on.</summary>
internal sealed partial class RunEngine
{
    // More do not work at a time.
    private const int MaxSteps = 200;

    private readonly ConcurrentDictionary<string, LiveRun> _live = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string TenantId, string Key), TaskCompletionSource<StartedRun>> _starting = new();
    private readonly ConcurrentDictionary<string, Task> _working = new(StringComparer.Ordinal);
    // Runs that were promoted before the request that queued them had made them live; that request then begins them.
    private readonly ConcurrentDictionary<string, byte> _early = new(StringComparer.Ordinal);
    private readonly IConcurrencyLimiter _slots;
    private readonly RunServices _services;
    private readonly ToolRunner _tools;
    private readonly ChildRuns _children;
    private readonly IRunWaits _waits;
    private readonly RunBell _bell;
    private readonly WorkflowExecutions _workflows;
    private readonly RunsOptions _options;
    private readonly int _defaultConcurrency;
    private readonly ILogger<RunEngine> _logger;
    private readonly CancellationTokenSource _stopped = new();
    private volatile bool _stopping;

    public RunEngine(RunServices services, ToolRunner tools, ChildRuns children, IRunWaits waits, RunBell bell, WorkflowExecutions workflows, IOptions<RunsOptions> options, IOptions<LimitsOptions> limits, IConcurrencyLimiter slots, ILogger<RunEngine> logger)
    {
        _services = services;
        _slots = slots;
        _tools = tools;
        _children = children;
        _waits = waits;
        _bell = bell;
        _workflows = workflows;
        _options = options.Value;
        _defaultConcurrency = limits.Value.ConcurrentRuns;
        _logger = logger;
        services.Metrics.ObserveActive(() => _live.Count);
    }

    /// <summary>Fires when the engine has stopped: readers of runs of other processes leave too.</summary>
    public CancellationToken Stopped => _stopped.Token;

    /// <summary>The process is on its way out: it takes nothing up any more.</summary>
    public bool IsStopping => _stopping;

    /// <summary>Runs that have not ended.</summary>
    public ICollection<LiveRun> Active => _live.Values;

    public LiveRun? Find(string tenantId, string runId) => _live.TryGetValue(runId, out LiveRun? live) && live.Record.TenantId == tenantId ? live : null;

    /// <summary>Stops a run of the tenant. It has ended when its outcome is there.</summary>
    public async ValueTask<CancelOutcome> CancelAsync(string tenantId, string runId, StopCause cause)
    {
        if (Find(tenantId, runId) is { } live)
        {
            if (live.Record.Status == RunStatus.Queued && await CancelQueuedAsync(live, cause)) return CancelOutcome.Cancelling;
            bool stored = true;
            try
            {
                // Once it is promised, it holds for whoever takes the run up after a crash.
                stored = await _services.Leases.RequestCancelAsync(tenantId, runId, cause);
            }
            finally
            {
                live.Stop(cause);
            }
            // It may have gone to rest a moment ago, and nobody works on it any more who could hear.
            if (!stored && await _waits.CancelWaitingAsync(tenantId, runId, cause)) _bell.Ring();
            return CancelOutcome.Cancelling;
        }
        if (await _services.Store.FindAsync(tenantId, runId) is not { } run) return CancelOutcome.NotFound;
        if (run.IsResting && await _waits.CancelWaitingAsync(tenantId, runId, cause))
        {
            _bell.Ring();
            return CancelOutcome.Cancelling;
        }
        // In another process, which hears of it.
        return !run.IsFinal && await _services.Leases.RequestCancelAsync(tenantId, runId, cause) ? CancelOutcome.Cancelling : CancelOutcome.NotActive;
    }

    /// <summary>Has a run rest at its next boundary, with the runs that are its steps.</summary>
    public async ValueTask<PauseOutcome> PauseAsync(string tenantId, string runId)
    {
        if (await _services.Store.FindAsync(tenantId, runId) is not { } run) return PauseOutcome.NotFound;
        if (run.IsFinal) return PauseOutcome.Refused;
        // What is stored first holds however the run changes hands meanwhile.
        if (!await _waits.RequestPauseAsync(tenantId, runId)) return (await _services.Store.FindAsync(tenantId, runId))?.Status == RunStatus.Paused ? PauseOutcome.Accepted : PauseOutcome.Refused;
        if (Find(tenantId, runId) is { } live) live.PauseRequested = true;
        _bell.Ring();
        foreach (RunRecord step in await StepsAsync(run)) await PauseAsync(tenantId, step.Id);
        return PauseOutcome.Accepted;
    }

    /// <summary>Has a paused run go on, with the runs that are its steps.</summary>
    public async ValueTask<PauseOutcome> ResumeAsync(string tenantId, string runId)
    {
        if (await _services.Store.FindAsync(tenantId, runId) is not { } run) return PauseOutcome.NotFound;
        if (!await _waits.ResumeAsync(tenantId, runId)) return PauseOutcome.Refused;
        if (Find(tenantId, runId) is { } live) live.PauseRequested = false;
        _bell.Ring();
        foreach (RunRecord step in await StepsAsync(run)) await ResumeAsync(tenantId, step.Id);
        return PauseOutcome.Accepted;
    }

    /// <summary>Runs that are steps of a run, and have not ended.</summary>
    public async ValueTask<IEnumerable<RunRecord>> StepsAsync(RunRecord run) =>
        (await _services.Store.ListAsync(run.TenantId, new RunFilter(null, null, null, run.Id), null, MaxSteps)).Where(r => !r.IsFinal);

    /// <summary>A run that is stored: live, or with its outcome; with neither when another process works on it.</summary>
    public async ValueTask<StartedRun> LookAsync(RunRecord run)
    {
        if (Find(run.TenantId, run.Id) is { } live) return new StartedRun(run, live, null);
        if (!run.IsFinal) run = await _services.Store.FindAsync(run.TenantId, run.Id) ?? run;
        if (!run.IsFinal && (run.IsResting || run.Kind == RunKind.Workflow || _services.Leases.IsShared)) return new StartedRun(run, null, null);
        // Not final and not live: the process is stopping and the next one takes it up.
        if (!run.IsFinal) throw Stopping();
        FinalMessage? message = await _services.Store.LastEventAsync(run.TenantId, run.Id, RunEventTypes.MessageCompleted) is { } data ? FinalMessage.Parse(data) : null;
        return new StartedRun(run, null, new RunOutcome(run, message));
    }

    /// <summary>Takes up a run that an earlier process left unfinished; one without a state waits for its turn.</summary>
    public async Task ResumeAsync(LiveRun live, RunState? state)
    {
        _live[live.Record.Id] = live;
        if (state is null)
        {
            // The run before it may have been taken up and have ended by now, and then has passed the turn on to this one.
            if (_early.TryRemove(live.Record.Id, out _)) await BeginAsync(live);
            return;
        }
        live.TryTake();
        _slots.Take(live.Record.TenantId, live.Record.Id);
        Work(live, new RunExecution(_services, _tools, _children, live, state, new RunLog(live.Record, _services.Time, state.LastSeq)), resumed: true);
    }

    /// <summary>Takes up a run of a workflow, after a crash or because what it waited for has come.</summary>
    public void Resume(LiveRun live, WorkflowVersion workflow, StoredFlow stored)
    {
        _live[live.Record.Id] = live;
        live.TryTake();
        _slots.Take(live.Record.TenantId, live.Record.Id);
        Work(live, _workflows.Resume(this, live, workflow, new RunLog(live.Record, _services.Time, stored.Seq), stored), resumed: true);
    }

    /// <summary>Starts the conversation's next waiting run, if it is its turn.</summary>
    public async Task StartNextAsync(string tenantId, string conversationId)
    {
        try
        {
            if (_stopping) return;
            StartedNext? started = await _services.Store.StartNextAsync(tenantId, conversationId, _services.Time.GetUtcNow());
            // One of another process begins there: it hears of it.
            if (started is null || started.Owner != _services.Owner.Name) return;
            string next = started.RunId;
            if (!_live.TryGetValue(next, out LiveRun? live))
            {
                _early[next] = 0;
                // Made live in between: whoever takes the mark begins it.
                if (!_live.TryGetValue(next, out live) || !_early.TryRemove(next, out _)) return;
            }
            await BeginAsync(live);
        }
        catch (Exception e)
        {
            LogNotPassedOn(e, conversationId);
        }
    }

    /// <summary>Does what another process asks for a run of this one.</summary>
    public async Task HearAsync(RunSignal signal)
    {
        if (!_live.TryGetValue(signal.RunId, out LiveRun? live)) return;
        if (signal.Cancel != StopCause.None && live.Cause == StopCause.None) await CancelAsync(live.Record.TenantId, signal.RunId, signal.Cancel);
        if (signal.Pause && !live.PauseRequested) live.PauseRequested = true;
        if (signal.Started) await BeginAsync(live);
    }

    /// <summary>Stops working on a run without a trace, since another process does or may soon. False when it was stopped already.</summary>
    public bool Lose(LiveRun live)
    {
        if (live.Cause == StopCause.LeaseLost) return false;
        live.Stop(StopCause.LeaseLost);
        // One that waits has no work that would end with it.
        if (live.TryTake()) Finish(live, null, "");
        return true;
    }

    /// <summary>Takes no more runs, waits for the active ones, and lets go of those that do not end in time.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stopping = true;
        try
        {
            await Task.WhenAll(_working.Values).WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            LogLettingGo(_working.Count);
        }
        foreach (LiveRun live in _live.Values) live.Stop(StopCause.Shutdown);
        await Task.WhenAll(_working.Values);
        foreach (LiveRun live in _live.Values) live.Close(null);
        _stopped.Cancel();
    }

    private async Task<bool> CancelQueuedAsync(LiveRun live, StopCause cause)
    {
        RunRecord end = live.Record with { Status = RunStatus.Cancelled, Reason = cause switch { StopCause.Superseded => "interrupted", StopCause.RolledBack => RunExecution.RolledBack, _ => "requested" }, EndedAt = _services.Time.GetUtcNow() };
        var log = new RunLog(live.Record, _services.Time, live.StoredBefore > 0 ? live.StoredBefore : 1);
        log.Ended(end);
        List<RunEvent> events = log.Take();
        if (!await _services.Store.CancelQueuedAsync(new RunWrite { Run = live.Record, Events = events, End = end, Event = RunEndedEvent.Of(end) })) return false;
        live.Publish(events);
        Finish(live, new RunOutcome(end, null), "");
        return true;
    }
}
