using System.Diagnostics;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Guardrails;

namespace MultiAgent.Orchestrator.Runs;

/// <content>How a run is taken in.</content>
internal sealed partial class RunEngine
{
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
        return (run, new LiveRun(record, request.Agent, request.Input) { LastProgress = _services.Time.GetTimestamp(), EndsWith = request.EndsWith }, log);
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

    private static string Title(string message)
    {
        string line = message.AsSpan().Trim().ToString().Split('\n', 2)[0].Trim();
        return line.Length <= 80 ? line : line[..(char.IsHighSurrogate(line[78]) ? 78 : 79)] + "…";
    }

    private static ApiException Stopping() =>
        new(503, ErrorCodes.Overloaded, "The server is stopping. Try again in a moment.") { RetryAfter = TimeSpan.FromSeconds(2) };
}
