using System.Collections.Concurrent;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows.Compensations;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Executes steps: their conditions, attempts, time limits and errors; and undoes them.</summary>
internal sealed class StepRunner
{
    // A step that says nothing of its compensation's attempts does not mean that one failure may leave things half done.
    private static readonly RetryPolicy Undoing = new() { Attempts = 5 };

    private readonly Flow _flow;
    private readonly FlowBoard _board;
    private readonly RunMetrics _metrics;
    private readonly StepActions _actions;
    private readonly ConcurrentQueue<(Step Step, StepContext Context, string Path, StepRecord Record)> _undoable = new();
    private readonly ConcurrentQueue<string> _names = new();

    public StepRunner(Flow flow, FlowBoard board, AgentCalls agents, ToolCalls tools, IWorkflowSource workflows, RunMetrics metrics)
    {
        (_flow, _board, _metrics) = (flow, board, metrics);
        _actions = new StepActions(flow, board, new FlowProgress(flow, board, metrics), this, agents, tools, workflows);
    }

    /// <summary>Types of the steps that were executed here.</summary>
    public IReadOnlyList<string> Names => [.. _names.Take(100)];

    /// <summary>Executes steps one after the other; the output of the last one that was not skipped.</summary>
    public async Task<JsonElement?> BlockAsync(IReadOnlyList<Step> block, StepContext context)
    {
        JsonElement? last = null;
        foreach (Step step in block)
        {
            (bool ran, JsonElement? output) = await StepAsync(step, context);
            if (ran) last = output;
        }
        return last;
    }

    /// <summary>Undoes the steps that are done, the last first; the failure of the last that could not be undone.</summary>
    /// <param name="only">The one compensation that is to be done, by its path; null for all.</param>
    /// <param name="token">Fires when the run is abandoned.</param>
    public async Task<StepFailedException?> CompensateAsync(string? only, CancellationToken token)
    {
        StepFailedException? failure = null;
        foreach ((Step step, StepContext context, string path, StepRecord record) in _undoable.OrderByDescending(d => d.Record.DoneAt))
        {
            StepContext undoing = context with { Path = path, LogOnly = false, Deadline = null, Meter = null, Token = token };
            if (only is not null && undoing.Of(step.Compensate!.Id) != only) continue;
            try
            {
                await StepAsync(step.Compensate!, undoing, undoes: true);
            }
            catch (StepFailedException e)
            {
                failure = e;
                StepRecord failed = _flow.State.At(e.Path);
                if (failed.Told) continue;
                failed.Told = true;
                await TellAsync(step, undoing, path, record, e, failed);
            }
        }
        return failure;
    }

    /// <summary>Tells that a step could not be undone: in the log, to whoever listens, and as a dead letter that waits for somebody to deal with it.</summary>
    private Task TellAsync(Step step, StepContext context, string path, StepRecord done, StepFailedException e, StepRecord failed)
    {
        DateTimeOffset now = _flow.Time.GetUtcNow();
        UndoInput? undo = _flow.Live.Input.Undo;
        RunRecord run = _flow.Run;
        // One that is tried again has its letter already.
        DeadLetter? letter = undo is not null ? null : new DeadLetter
        {
            Id = Ids.New("cdl", now), TenantId = run.TenantId, RunId = run.Id, WorkflowId = run.AgentId, Workflow = run.Agent, WorkflowVersion = run.AgentVersion, Path = path, UndoPath = e.Path,
            Kind = step.Compensate!.Type, Subject = DeadLetterSubject.Of(step.Compensate, context.Scope(run, failed.StartedAt), done.Output), Code = e.Code, Message = e.Message, Attempts = failed.Attempt, CreatedAt = now, UpdatedAt = now,
        };
        string letterId = undo?.DeadLetterId ?? letter!.Id;
        _metrics.CompensationFailed();
        return _flow.Journal.TellAsync(RunEventTypes.CompensationFailed, (path, e, letterId), static (json, s) =>
        {
            json.WriteString("step"u8, s.path);
            json.WriteString("undo"u8, s.e.Path);
            json.WriteString("code"u8, s.e.Code);
            json.WriteString("message"u8, s.e.Message);
            json.WriteString("deadLetterId"u8, s.letterId);
        }, Alert(path, e, letterId, now), letter);
    }

    private async Task<(bool Ran, JsonElement? Output)> StepAsync(Step step, StepContext context, bool undoes = false)
    {
        string path = context.Of(step.Id);
        StepRecord record = _flow.State.At(path);
        if (record.Status == StepStatus.Skipped) return Skipped(step, context);
        context = await _board.SeeAsync(path, context);
        bool begins = record.Status == StepStatus.New;
        if (begins)
        {
            if (context.LogOnly) throw new LogEndsException();
            context.Token.ThrowIfCancellationRequested();
            // What is being undone is undone to its end.
            if (!undoes && _flow.State.Compensating is null) await _flow.Waits.PauseAsync(context.Token);
            record.StartedAt = _flow.Time.GetUtcNow();
            if (step.When is { } when && !when.Evaluate(context.Scope(_flow.Run, record.StartedAt)))
            {
                record.Status = StepStatus.Skipped;
                _flow.Journal.Add(RunEventTypes.StepSkipped, path, step, static (json, s) => json.WriteString("step"u8, s.Id));
                return Skipped(step, context);
            }
            if (!undoes && _flow.State.Steps >= _flow.Workflow.Definition.Limits.MaxSteps) throw new StepFailedException(path, StepCodes.LimitReached, $"The workflow has executed {_flow.State.Steps} steps, which is its limit.");
            _flow.State.CountStep();
            record.Status = StepStatus.Started;
            _flow.Journal.Add(RunEventTypes.StepStarted, path, step, static (json, s) =>
            {
                json.WriteString("step"u8, s.Id);
                json.WriteString("kind"u8, s.Type);
            });
        }
        _names.Enqueue(step.Type);
        StepContext own = context with
        {
            // What was done or has failed is only looked through, for what it used and what there is to undo.
            BegunHere = begins,
            LogOnly = context.LogOnly || record.Status is StepStatus.Completed or StepStatus.Failed,
            Meter = step.Policy.Budget is { } budget ? new Meter(budget, context.Meter) : context.Meter,
        };
        if (own.LogOnly && record.Status != StepStatus.Started) return await LookThroughAsync(step, own, path, record, undoes);
        RetryPolicy retry = undoes && step.Policy.Retry.Attempts == 1 ? Undoing : step.Policy.Retry;
        using StepClock clock = new StepClock(step, _metrics, _flow.Time).Trace(_flow.Run, path);
        own = own with { Clock = clock };
        while (true)
        {
            try
            {
                if (record.RetryAt is { } at) await clock.OutsideAsync(_flow.Waits.WaitAsync(null, at, own.Token));
                JsonElement? output = await AttemptAsync(step, own, path, record);
                if (!own.LogOnly) await _board.SetAsync(step, own, path, record, output);
                record.Status = StepStatus.Completed;
                return Done(step, context, path, record, output, undoes, clock);
            }
            catch (StepException e) when (!own.LogOnly)
            {
                if (!e.Retryable || record.Attempt >= retry.Attempts) return await FailedAsync(step, context, path, record, e.Code, e.Message, clock);
                await AgainAsync(path, record, retry, e);
            }
            catch (WorkflowTemplateException e) when (!own.LogOnly)
            {
                return await FailedAsync(step, context, path, record, StepCodes.Template, e.Message, clock);
            }
            catch (StepFailedException e) when (!own.LogOnly)
            {
                // Of a step inside, which has had its attempts.
                if (record.Attempt >= retry.Attempts) return await FailedAsync(step, context, path, record, e.Code, e.Message, clock);
                await AgainAsync(path, record, retry, new StepException(e.Code, e.Message));
            }
        }
    }

    private async Task<JsonElement?> AttemptAsync(Step step, StepContext context, string path, StepRecord record)
    {
        // Of a step that waits for something, the limit is for the waiting.
        if (step.Policy.Timeout is not { } limit || step is WaitStep || context.LogOnly) return await _actions.ExecuteAsync(step, context, path, record);
        DateTimeOffset end = (record.RetryAt ?? record.StartedAt) + limit;
        TimeSpan left = end - _flow.Time.GetUtcNow();
        using CancellationTokenSource timeout = LongCancellation.After(left > TimeSpan.Zero ? left : TimeSpan.Zero, _flow.Time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, context.Token);
        try
        {
            return await _actions.ExecuteAsync(step, context with { Token = linked.Token, Deadline = context.Deadline < end ? context.Deadline : end }, path, record);
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !context.Token.IsCancellationRequested)
        {
            throw new StepException(StepCodes.Timeout, $"The step took longer than {limit.TotalSeconds} seconds.");
        }
    }

    private (bool, JsonElement?) Skipped(Step step, StepContext context)
    {
        context.Frame.Set(step.Id, new StepResult("skipped"));
        return (false, null);
    }

    private async Task<(bool, JsonElement?)> LookThroughAsync(Step step, StepContext context, string path, StepRecord record, bool undoes)
    {
        try
        {
            await _actions.ExecuteAsync(step, context, path, record);
        }
        catch (Exception e) when (e is LogEndsException or StepException or StepFailedException or WorkflowTemplateException)
        {
            // It ends where the log does.
        }
        if (record.Status == StepStatus.Completed) return Take(step, context, path, record, undoes);
        return Fail(step, context, path, record);
    }

    private (bool, JsonElement?) Done(Step step, StepContext context, string path, StepRecord record, JsonElement? output, bool undoes, StepClock clock)
    {
        record.Output = output;
        record.DoneAt = _flow.Journal.AddSoon(RunEventTypes.StepCompleted, path, (step, output), static (json, s) =>
        {
            json.WriteString("step"u8, s.step.Id);
            if (s.output is { } value)
            {
                json.WritePropertyName("output"u8);
                value.WriteTo(json);
            }
        });
        clock.Ended(null);
        return Take(step, context, path, record, undoes);
    }

    private (bool, JsonElement?) Take(Step step, StepContext context, string path, StepRecord record, bool undoes)
    {
        if (step.Compensate is not null && !undoes) _undoable.Enqueue((step, context, path, record));
        context.Frame.Set(step.Id, new StepResult("completed", record.Output));
        if (step is EndStep end) throw new WorkflowEndedException(end.Status == EndStatus.Failed, record.Output, end.Message?.Evaluate(context.Scope(_flow.Run, record.StartedAt)));
        return (true, record.Output);
    }

    private async Task AgainAsync(string path, StepRecord record, RetryPolicy retry, StepException e)
    {
        int next = record.Attempt + 1;
        // Half of it is chance, so that many that failed together do not come back together.
        DateTimeOffset at = _flow.Time.GetUtcNow() + retry.DelayAfter(record.Attempt) * (0.5 + Random.Shared.NextDouble() / 2);
        record.BeginAttempt(next);
        record.RetryAt = at;
        await _flow.Journal.AppendAsync(RunEventTypes.StepRetrying, path, (next, at, e), static (json, s) =>
        {
            json.WriteNumber("attempt"u8, s.next);
            json.WriteString("at"u8, s.at);
            json.WriteString("code"u8, s.e.Code);
            json.WriteString("message"u8, s.e.Message);
        });
    }

    private async Task<(bool, JsonElement?)> FailedAsync(Step step, StepContext context, string path, StepRecord record, string code, string message, StepClock clock)
    {
        (record.Status, record.ErrorCode, record.ErrorMessage) = (StepStatus.Failed, code, message);
        await _flow.Journal.AppendAsync(RunEventTypes.StepFailed, path, record, static (json, r) =>
        {
            json.WriteNumber("attempt"u8, r.Attempt);
            json.WriteString("code"u8, r.ErrorCode);
            json.WriteString("message"u8, r.ErrorMessage);
        });
        clock.Ended(code);
        return Fail(step, context, path, record);
    }

    private static (bool, JsonElement?) Fail(Step step, StepContext context, string path, StepRecord record)
    {
        if (step.Policy.OnError == ErrorAction.Fail) throw new StepFailedException(path, record.ErrorCode!, record.ErrorMessage!);
        context.Frame.Set(step.Id, new StepResult("failed", null, record.ErrorMessage));
        return (true, null);
    }

    private EventEnvelope Alert(string path, StepFailedException e, string letterId, DateTimeOffset now)
    {
        RunRecord run = _flow.Run;
        var failed = new CompensationFailed { RunId = run.Id, TenantId = run.TenantId, Workflow = run.Agent, Step = path, Code = e.Code, Message = e.Message, DeadLetterId = letterId, At = now };
        return new EventEnvelope
        {
            Id = Ids.New("evt", now),
            Subject = Subjects.CompensationFailed,
            Source = OrchestratorModule.ServiceName,
            TenantId = run.TenantId,
            OrderingKey = run.Id,
            Time = now,
            TraceParent = run.TraceParent,
            Data = JsonSerializer.SerializeToUtf8Bytes(failed, EventJson.Default.CompensationFailed),
        };
    }
}
