using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Starts runs, keeps the active ones, stops them, and passes a conversation's turn on.</summary>
internal sealed partial class RunEngine
{
    private readonly ConcurrentDictionary<string, LiveRun> _live = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string TenantId, string Key), TaskCompletionSource<StartedRun>> _starting = new();
    private readonly ConcurrentDictionary<string, Task> _working = new(StringComparer.Ordinal);
    // Runs that were promoted before the request that queued them had made them live; that request then begins them.
    private readonly ConcurrentDictionary<string, byte> _early = new(StringComparer.Ordinal);
    private readonly RunSlots _slots = new();
    private readonly RunServices _services;
    private readonly ToolRunner _tools;
    private readonly RunsOptions _options;
    private readonly int _defaultConcurrency;
    private readonly ILogger<RunEngine> _logger;
    private volatile bool _stopping;

    public RunEngine(RunServices services, ToolRunner tools, IOptions<RunsOptions> options, IOptions<LimitsOptions> limits, ILogger<RunEngine> logger)
    {
        _services = services;
        _tools = tools;
        _options = options.Value;
        _defaultConcurrency = limits.Value.ConcurrentRuns;
        _logger = logger;
        services.Metrics.ObserveActive(() => _live.Count);
    }

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
            started = _services.Store.FindByKey(id.TenantId, key) is { } existing ? Look(existing) : await AcceptAsync(request);
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
            live.Stop(cause);
            return CancelOutcome.Cancelling;
        }
        return _services.Store.Find(tenantId, runId) is null ? CancelOutcome.NotFound : CancelOutcome.NotActive;
    }

    /// <summary>A run that is stored: live, or with its outcome.</summary>
    public StartedRun Look(RunRecord run)
    {
        if (Find(run.TenantId, run.Id) is { } live) return new StartedRun(run, live, null);
        if (!run.IsFinal) run = _services.Store.Find(run.TenantId, run.Id) ?? run;
        // Not final and not live: the process is stopping and the next one takes it up.
        if (!run.IsFinal) throw Stopping();
        FinalMessage? message = _services.Store.LastEvent(run.TenantId, run.Id, RunEventTypes.MessageCompleted) is { } data ? FinalMessage.Parse(data) : null;
        return new StartedRun(run, null, new RunOutcome(run, message));
    }

    /// <summary>Takes up a run that an earlier process left unfinished.</summary>
    public void Resume(LiveRun live, RunState? state)
    {
        _live[live.Record.Id] = live;
        if (state is null) return;
        _slots.Take(live.Record.TenantId);
        Work(live, state, new RunLog(live.Record, _services.Time, state.LastSeq), resumed: true);
    }

    /// <summary>Starts the conversation's next waiting run, if it is its turn.</summary>
    public async Task StartNextAsync(string tenantId, string conversationId)
    {
        try
        {
            if (_stopping) return;
            string? next = await _services.Store.StartNextAsync(tenantId, conversationId, _services.Time.GetUtcNow());
            if (next is null) return;
            if (!_live.TryGetValue(next, out LiveRun? live))
            {
                _early[next] = 0;
                // Made live in between: whoever takes the mark begins it.
                if (!_live.TryGetValue(next, out live) || !_early.TryRemove(next, out _)) return;
            }
            Begin(live);
        }
        catch (Exception e)
        {
            LogNotPassedOn(e, conversationId);
        }
    }

    private void Begin(LiveRun live)
    {
        var state = new RunState { LastSeq = live.StoredBefore > 0 ? live.StoredBefore : 1 };
        state.Messages.AddRange(RunExecution.History(_services.Store, live.Record, live.Input));
        state.Messages.Add(ChatMessage.Of(ChatRole.User, live.Input.Message!));
        _slots.Take(live.Record.TenantId);
        Work(live, state, new RunLog(live.Record, _services.Time, state.LastSeq), resumed: false);
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
    }

    private static StartedRun Same(StartedRun started, RunRequest request) => started.Run.RequestHash == request.RequestHash ? started
        : throw new ApiException(409, ErrorCodes.IdempotencyKeyReused, "This Idempotency-Key was used with a different request. Use a new key for a new request.", "Idempotency-Key");

    private async ValueTask<StartedRun> AcceptAsync(RunRequest request)
    {
        if (_stopping) throw Stopping();
        string tenantId = request.Caller.TenantId;
        int limit = request.Caller.Limits?.ConcurrentRuns ?? _defaultConcurrency;
        if (!_slots.TryTake(tenantId, limit))
            throw new ApiException(429, ErrorCodes.ConcurrencyLimitExceeded, $"The tenant has {limit} runs active, which is its limit. Try again when one has ended.") { RetryAfter = TimeSpan.FromSeconds(1) };
        bool started = false;
        try
        {
            (NewRun run, LiveRun live, RunLog log) = Prepare(request);
            AcceptOutcome outcome = await _services.Store.AcceptAsync(run);
            switch (outcome)
            {
                case AcceptOutcome.Existing existing:
                    return Look(existing.Run);
                case AcceptOutcome.KeyReused:
                    throw new ApiException(409, ErrorCodes.IdempotencyKeyReused, "This Idempotency-Key was used with a different request. Use a new key for a new request.", "Idempotency-Key");
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
            _live[run.Record.Id] = live;
            live.Publish(run.Accepted);
            live.Publish(run.Started);
            var state = new RunState { Started = true, ModelCalled = true, LastSeq = run.Accepted.Count + run.Started.Count };
            state.Messages.AddRange(request.Input.Completion?.Messages ?? [.. RunExecution.History(_services.Store, run.Record, request.Input), ChatMessage.Of(ChatRole.User, request.Input.Message!)]);
            Work(live, state, log, resumed: false);
            return new StartedRun(run.Record, live, null);
        }
        finally
        {
            if (!started) _slots.Release(tenantId);
        }
    }

    private (NewRun Run, LiveRun Live, RunLog Log) Prepare(RunRequest request)
    {
        DateTimeOffset now = _services.Time.GetUtcNow();
        var record = new RunRecord
        {
            Id = Ids.New("run", now),
            TenantId = request.Caller.TenantId,
            ConversationId = request.ConversationId,
            AgentId = request.Agent.Id,
            Agent = request.Agent.Slug,
            AgentVersion = request.Agent.Version,
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
        };
        var log = new RunLog(record, _services.Time, 0);
        log.Accepted(request.Input);
        List<RunEvent> accepted = log.Take();
        RunExecution.LogStart(log, request.Agent);
        var run = new NewRun
        {
            Record = record,
            Accepted = accepted,
            Started = log.Take(),
            Messages = request.Input.Message is null ? [] : [RunExecution.UserMessage(request.Input, now)],
            CreateConversation = request.Input.NewConversation,
            Title = request.Input.Message is { } message ? Title(message) : null,
            OnBusy = request.Agent.OnBusy,
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
        foreach (string other in queued.Superseded) await CancelAsync(waiting.TenantId, other, StopCause.Superseded);
        // The run before it may have ended while this one was being accepted, and may have promoted it already.
        if (_early.TryRemove(waiting.Id, out _)) Begin(live);
        else await StartNextAsync(waiting.TenantId, waiting.ConversationId!);
        return new StartedRun(waiting, live, null);
    }

    private async Task<bool> CancelQueuedAsync(LiveRun live, StopCause cause)
    {
        RunRecord end = live.Record with { Status = RunStatus.Cancelled, Reason = cause == StopCause.Superseded ? "interrupted" : "requested", EndedAt = _services.Time.GetUtcNow() };
        var log = new RunLog(live.Record, _services.Time, live.StoredBefore > 0 ? live.StoredBefore : 1);
        log.Ended(end);
        List<RunEvent> events = log.Take();
        if (!await _services.Store.CancelQueuedAsync(new RunWrite { Run = live.Record, Events = events, End = end, Event = RunEndedEvent.Of(end) })) return false;
        live.Publish(events);
        Finish(live, new RunOutcome(end, null), "");
        return true;
    }

    private void Work(LiveRun live, RunState state, RunLog log, bool resumed)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _working[live.Record.Id] = done.Task;
        _ = WorkAsync(live, state, log, resumed, done);
    }

    private async Task WorkAsync(LiveRun live, RunState state, RunLog log, bool resumed, TaskCompletionSource done)
    {
        RunRecord run = live.Record;
        using Activity? activity = Trace(live);
        RunOutcome? outcome = null;
        try
        {
            var execution = new RunExecution(_services, _tools, live, state, log);
            await RunGuardedAsync(execution, resumed, run);
            outcome = execution.Outcome;
        }
        finally
        {
            _slots.Release(run.TenantId);
            if (outcome is not null) activity?.SetTag("gen_ai.usage.input_tokens", outcome.Run.Usage.InputTokens).SetTag("gen_ai.usage.output_tokens", outcome.Run.Usage.OutputTokens);
            if (outcome?.Run.Error is not null) activity?.SetStatus(ActivityStatusCode.Error).SetTag("error.type", outcome.Run.Error.Code);
            try
            {
                Finish(live, outcome, string.Join(',', state.StepNames));
            }
            finally
            {
                _working.TryRemove(run.Id, out _);
                done.SetResult();
            }
        }
        if (run.ConversationId is not null) await StartNextAsync(run.TenantId, run.ConversationId);
    }

    private async Task RunGuardedAsync(RunExecution execution, bool resumed, RunRecord run)
    {
        try
        {
            await execution.RunAsync(resumed);
        }
        catch (OperationCanceledException)
        {
            LogLeft(run.Id);
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
        _live.TryRemove(live.Record.Id, out _);
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
        Activity? activity = PlatformTelemetry.Activities.StartActivity($"invoke_agent {run.Agent}", ActivityKind.Internal, parent);
        return activity?.SetTag("gen_ai.operation.name", "invoke_agent").SetTag("gen_ai.agent.id", run.AgentId).SetTag("gen_ai.agent.name", run.Agent)
            .SetTag("gen_ai.conversation.id", run.ConversationId).SetTag("gen_ai.request.model", live.Agent.Model).SetTag("maap.run.id", run.Id);
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

    [LoggerMessage(EventId = 2, EventName = "RunLeft", Level = LogLevel.Information, Message = "Run {RunId} is left for the next start")]
    private partial void LogLeft(string runId);

    [LoggerMessage(EventId = 3, EventName = "RunNotStored", Level = LogLevel.Error, Message = "The end of run {RunId} could not be stored; the next start takes it up")]
    private partial void LogNotStored(Exception e, string runId);

    [LoggerMessage(EventId = 4, EventName = "TurnNotPassedOn", Level = LogLevel.Error, Message = "The next run of conversation {ConversationId} could not be started")]
    private partial void LogNotPassedOn(Exception e, string conversationId);

    [LoggerMessage(EventId = 6, EventName = "RunNotCounted", Level = LogLevel.Warning, Message = "The end of run {RunId} could not be counted")]
    private partial void LogNotCounted(Exception e, string runId);

    [LoggerMessage(EventId = 5, EventName = "RunsLeft", Level = LogLevel.Warning, Message = "{Count} runs did not end before the process has to stop; the next start takes them up")]
    private partial void LogLettingGo(int count);
}
