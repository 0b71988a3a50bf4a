using System.Diagnostics;
using Microsoft.Extensions.Logging;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <content>How a run is worked off, and what becomes of it.</content>
internal sealed partial class RunEngine
{
    private async Task BeginAsync(LiveRun live)
    {
        if (!live.TryTake()) return;
        var state = new RunState { LastSeq = live.StoredBefore > 0 ? live.StoredBefore : 1 };
        state.Load(await RunExecution.HistoryAsync(_services.Store, live.Record, live.Input), live.Input.Messages);
        _slots.Take(live.Record.TenantId, live.Record.Id);
        Work(live, new RunExecution(_services, _tools, _children, live, state, new RunLog(live.Record, _services.Time, state.LastSeq)), resumed: false);
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
