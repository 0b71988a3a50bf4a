using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Guardrails;
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

    /// <summary>
    /// Starts a run, and returns once it is durable. With an idempotency key that was used before, returns that run instead.
    /// </summary>
    /// <exception cref="ApiException">The run was refused: limits, a busy conversation, a key with another request.</exception>
    public async ValueTask<StartedRun> StartAsync(RunRequest request)
    {
        if (request.IdempotencyKey is not { } key) return await AcceptAsync(request);
        var mine = new TaskCompletionSource<StartedRun>(TaskCreationOptions.RunContinuationsAsynchronously);
        (string TenantId, string Key) id = (request.Caller.TenantId, key);
        TaskCompletionSource<StartedRun> holder = _starting.GetOrAdd(id, mine);
        if (holder != mine) return Same(await holder.Task, request);
        StartedRun started;
        try
        {
            // Where something is stored with it nobody is expected to have used the key, and the store finds out.
            started = request.ParentWrite is null && await _services.Store.FindByKeyAsync(id.TenantId, key) is { } existing ? await LookAsync(existing) : await AcceptAsync(request);
            mine.SetResult(started);
        }
        catch (Exception e)
        {
            mine.SetException(e);
            // Nobody may be waiting for it.
            _ = mine.Task.Exception;
            throw;
        }
        finally
        {
            _starting.TryRemove(id, out _);
        }
        return Same(started, request);
    }

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

    private async Task BeginAsync(LiveRun live)
    {
        if (!live.TryTake()) return;
        var state = new RunState { LastSeq = live.StoredBefore > 0 ? live.StoredBefore : 1 };
        state.Load(await RunExecution.HistoryAsync(_services.Store, live.Record, live.Input), live.Input.Messages);
        _slots.Take(live.Record.TenantId, live.Record.Id);
        Work(live, new RunExecution(_services, _tools, _children, live, state, new RunLog(live.Record, _services.Time, state.LastSeq)), resumed: false);
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

    private static StartedRun Same(StartedRun started, RunRequest request) => started.Run.RequestHash == request.RequestHash ? started
        : throw new ApiException(409, ErrorCodes.IdempotencyKeyReused, "This Idempotency-Key was used with a different request. Use a new key for a new request.", "Idempotency-Key");

    private async ValueTask<StartedRun> AcceptAsync(RunRequest request)
    {
        if (_stopping) throw Stopping();
        if (request.Agent is { } agent) request = request with { Input = InputGuard.Apply(agent, request.Input) };
        foreach (GuardrailEvent triggered in request.Input.Verdict?.Events ?? []) _services.Metrics.GuardrailTriggered(triggered);
        string tenantId = request.Caller.TenantId;
        int limit = request.Caller.Limits?.ConcurrentRuns ?? _defaultConcurrency;
        (NewRun run, LiveRun live, RunLog log) = Prepare(request);
        if (request.ParentRunId is null && !await _slots.TryTakeAsync(tenantId, run.Record.Id, limit))
            throw new ApiException(429, ErrorCodes.ConcurrencyLimitExceeded, $"The tenant has {limit} runs active, which is its limit. Try again when one has ended.") { RetryAfter = TimeSpan.FromSeconds(1) };
        bool started = false;
        try
        {
            AcceptOutcome outcome = await _services.Store.AcceptAsync(run);
            switch (outcome)
            {
                case AcceptOutcome.Existing existing:
                    return await LookAsync(existing.Run);
                case AcceptOutcome.KeyReused:
                    throw new ApiException(409, ErrorCodes.IdempotencyKeyReused, "This Idempotency-Key was used with a different request. Use a new key for a new request.", "Idempotency-Key");
                case AcceptOutcome.HandledByPerson:
                    throw new ApiException(409, ErrorCodes.ConversationHandled, "A person has taken this conversation over. Its agent answers again when it is handed back.", "conversationId");
                case AcceptOutcome.ConversationNotFound:
                    throw new ApiException(404, ErrorCodes.NotFound, "The conversation was not found.", "conversationId");
                case AcceptOutcome.Busy busy:
                    throw new ApiException(409, ErrorCodes.RunActive, $"Run {busy.RunId} of this conversation is active. Wait for its end, or cancel it.");
                case AcceptOutcome.QueueFull:
                    throw new ApiException(429, ErrorCodes.RunQueueFull, $"{_options.MaxQueuedPerConversation} messages are waiting in this conversation already.") { RetryAfter = TimeSpan.FromSeconds(5) };
            }
            _services.Metrics.Accepted(run.Record);
            _services.Journeys.Started(run.Record);
            if (outcome is AcceptOutcome.Queued queued) return await WaitAsync(run, request, queued);

            started = true;
            live.TryTake();
            _live[run.Record.Id] = live;
            live.Publish(run.Accepted);
            live.Publish(run.Started);
            if (request.Workflow is { } workflow) Work(live, _workflows.Begin(this, live, workflow, log, run.Started), resumed: false);
            else
            {
                var state = new RunState { Started = true, ModelCalled = true, LastSeq = run.Accepted.Count + run.Started.Count };
                state.Load(await RunExecution.HistoryAsync(_services.Store, run.Record, request.Input), request.Input.Messages);
                Work(live, new RunExecution(_services, _tools, _children, live, state, log), resumed: false);
            }
            return new StartedRun(run.Record, live, null) { IsNew = true };
        }
        finally
        {
            if (!started) _slots.Release(tenantId, run.Record.Id);
        }
    }

    private (NewRun Run, LiveRun Live, RunLog Log) Prepare(RunRequest request)
    {
        DateTimeOffset now = _services.Time.GetUtcNow();
        var record = new RunRecord
        {
            Id = request.RunId ?? Ids.New("run", now),
            TenantId = request.Caller.TenantId,
            ConversationId = request.ConversationId,
            Kind = request.Workflow is null ? RunKind.Agent : RunKind.Workflow,
            ParentRunId = request.ParentRunId,
            AgentId = request.Workflow?.Id ?? request.Agent!.Id,
            Agent = request.Workflow?.Slug ?? request.Agent!.Slug,
            AgentVersion = request.Workflow?.Version ?? request.Agent!.Version,
            Surface = request.Surface,
            Status = RunStatus.Running,
            IdempotencyKey = request.IdempotencyKey,
            RequestHash = request.RequestHash,
            RequestId = request.RequestId,
            ApiKeyId = request.Caller.ApiKeyId,
            UserId = request.Caller.UserId,
            JourneyId = Ids.New("jrn", now),
            TraceParent = Activity.Current?.Id,
            Metadata = request.Metadata,
            CreatedAt = now,
            StartedAt = now,
            LeaseOwner = _services.Owner.Name,
        };
        var log = new RunLog(record, _services.Time, 0);
        log.Accepted(request.Input);
        List<RunEvent> accepted = log.Take();
        if (request.Agent is not null) RunExecution.LogStart(log, request.Agent, request.Input);
        else log.Started();
        log.AddAll(request.Done);
        var run = new NewRun
        {
            Record = record,
            Accepted = accepted,
            Started = log.Take(),
            ParentWrite = request.ParentWrite,
            Messages = RunExecution.NewMessages(request.Input, now),
            Board = [.. request.Board.Select(w => w with { BoardRunId = record.Id })],
            CreateConversation = request.Input.NewConversation,
            Title = request.Input.Message is { } message ? Title(message) : null,
            Lease = _options.Lease,
            OnBusy = request.Agent?.OnBusy ?? BusyPolicy.Reject,
            MaxQueued = _options.MaxQueuedPerConversation,
        };
        return (run, new LiveRun(record, request.Agent, request.Input) { LastProgress = _services.Time.GetTimestamp() }, log);
    }

    private async Task<StartedRun> WaitAsync(NewRun run, RunRequest request, AcceptOutcome.Queued queued)
    {
        RunRecord waiting = run.Record with { Status = RunStatus.Queued, StartedAt = null };
        var live = new LiveRun(waiting, request.Agent, request.Input) { LastProgress = _services.Time.GetTimestamp() };
        _live[waiting.Id] = live;
        live.Publish(run.Accepted);
        foreach (string other in queued.Superseded) await CancelAsync(waiting.TenantId, other, run.OnBusy == BusyPolicy.Rollback ? StopCause.RolledBack : StopCause.Superseded);
        // The run before it may have ended while this one was being accepted, and may have promoted it already.
        if (_early.TryRemove(waiting.Id, out _)) await BeginAsync(live);
        else await StartNextAsync(waiting.TenantId, waiting.ConversationId!);
        return new StartedRun(waiting, live, null) { IsNew = true };
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

    private void Work(LiveRun live, IRunExecution execution, bool resumed)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _working[live.Record.Id] = done.Task;
        _ = WorkAsync(live, execution, resumed, done);
    }

    private async Task WorkAsync(LiveRun live, IRunExecution execution, bool resumed, TaskCompletionSource done)
    {
        RunRecord run = live.Record;
        using Activity? activity = Trace(live);
        RunOutcome? outcome = null;
        try
        {
            await RunGuardedAsync(execution, resumed, run);
            outcome = execution.Outcome;
        }
        finally
        {
            _slots.Release(run.TenantId, run.Id);
            if (outcome is not null && run is { ParentRunId: { } parent, LeaseEpoch: > 1 }) Wake(run.TenantId, parent);
            if (outcome is not null) activity?.SetTag("gen_ai.usage.input_tokens", outcome.Run.Usage.InputTokens).SetTag("gen_ai.usage.output_tokens", outcome.Run.Usage.OutputTokens);
            if (outcome?.Run.Error is not null) activity?.SetStatus(ActivityStatusCode.Error).SetTag("error.type", outcome.Run.Error.Code);
            try
            {
                Finish(live, outcome, string.Join(',', execution.StepNames));
            }
            finally
            {
                _working.TryRemove(new KeyValuePair<string, Task>(run.Id, done.Task));
                done.SetResult();
            }
        }
        if (run.ConversationId is not null) await StartNextAsync(run.TenantId, run.ConversationId);
    }

    /// <summary>Has a run of this process, or one that rests, look at what it waits for.</summary>
    private void Wake(string tenantId, string runId)
    {
        Find(tenantId, runId)?.Nudged?.Invoke();
        _bell.Ring();
    }

    private async Task RunGuardedAsync(IRunExecution execution, bool resumed, RunRecord run)
    {
        try
        {
            await execution.RunAsync(resumed);
        }
        catch (OperationCanceledException)
        {
            LogLeft(run.Id);
        }
        catch (LeaseLostException)
        {
            LogLost(run.Id);
        }
        catch (Exception e)
        {
            LogFailed(e, run.Id);
            try
            {
                await execution.FailAsync();
            }
            catch (Exception inner)
            {
                // The store refuses: the run stays unfinished and is taken up at the next start.
                LogNotStored(inner, run.Id);
            }
        }
    }

    private void Finish(LiveRun live, RunOutcome? outcome, string steps)
    {
        // It may have been lost and taken up again by now.
        _live.TryRemove(new KeyValuePair<string, LiveRun>(live.Record.Id, live));
        try
        {
            if (outcome is null) return;
            TimeSpan duration = outcome.Run.EndedAt!.Value - (outcome.Run.StartedAt ?? outcome.Run.CreatedAt);
            _services.Metrics.Ended(outcome.Run, duration);
            _services.Journeys.Ended(outcome.Run, live.Input.ClientJourneyId, steps, duration);
        }
        catch (Exception e)
        {
            // The run has ended whatever becomes of its statistics; clients wait for its outcome.
            LogNotCounted(e, live.Record.Id);
        }
        finally
        {
            live.Close(outcome);
        }
    }

    private static Activity? Trace(LiveRun live)
    {
        if (!PlatformTelemetry.Activities.HasListeners()) return null;
        RunRecord run = live.Record;
        ActivityContext parent = default;
        if (Activity.Current is null && run.TraceParent is not null) ActivityContext.TryParse(run.TraceParent, null, out parent);
        Activity? activity = PlatformTelemetry.Activities.StartActivity(run.Kind == RunKind.Workflow ? $"invoke_workflow {run.Agent}" : $"invoke_agent {run.Agent}", ActivityKind.Internal, parent);
        return activity?.SetTag("gen_ai.operation.name", run.Kind == RunKind.Workflow ? "invoke_workflow" : "invoke_agent").SetTag("gen_ai.agent.id", run.AgentId).SetTag("gen_ai.agent.name", run.Agent)
            .SetTag("gen_ai.conversation.id", run.ConversationId).SetTag("gen_ai.request.model", live.Agent?.Model).SetTag("maap.run.id", run.Id);
    }

    private static string Title(string message)
    {
        string line = message.AsSpan().Trim().ToString().Split('\n', 2)[0].Trim();
        return line.Length <= 80 ? line : line[..(char.IsHighSurrogate(line[78]) ? 78 : 79)] + "…";
    }

    private static ApiException Stopping() =>
        new(503, ErrorCodes.Overloaded, "The server is stopping. Try again in a moment.") { RetryAfter = TimeSpan.FromSeconds(2) };

    [LoggerMessage(EventId = 1, EventName = "RunFailed", Level = LogLevel.Error, Message = "Run {RunId} failed")]
    private partial void LogFailed(Exception e, string runId);

    [LoggerMessage(EventId = 2, EventName = "RunLeft", Level = LogLevel.Information, Message = "Run {RunId} is left unfinished for the next start or for another process")]
    private partial void LogLeft(string runId);

    [LoggerMessage(EventId = 3, EventName = "RunNotStored", Level = LogLevel.Error, Message = "The end of run {RunId} could not be stored; the next start takes it up")]
    private partial void LogNotStored(Exception e, string runId);

    [LoggerMessage(EventId = 4, EventName = "TurnNotPassedOn", Level = LogLevel.Error, Message = "The next run of conversation {ConversationId} could not be started")]
    private partial void LogNotPassedOn(Exception e, string conversationId);

    [LoggerMessage(EventId = 7, EventName = "RunLost", Level = LogLevel.Warning, Message = "Run {RunId} is not this process's any more; its work here has no effect")]
    private partial void LogLost(string runId);

    [LoggerMessage(EventId = 6, EventName = "RunNotCounted", Level = LogLevel.Warning, Message = "The end of run {RunId} could not be counted")]
    private partial void LogNotCounted(Exception e, string runId);

    [LoggerMessage(EventId = 5, EventName = "RunsLeft", Level = LogLevel.Warning, Message = "{Count} runs did not end before the process has to stop; the next start takes them up")]
    private partial void LogLettingGo(int count);
}
