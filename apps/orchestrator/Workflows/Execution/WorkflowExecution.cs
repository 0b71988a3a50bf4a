using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>
/// Works a run of a workflow off. It goes through the steps from the beginning each time; what the log has is not done again but taken from there, so
/// that after a crash or a rest it arrives where it was. What it depends on besides is in the log too: outcomes, times, decisions.
/// </summary>
internal sealed class WorkflowExecution(RunServices services, Flow flow, FlowBoard board, StepRunner steps) : IRunExecution
{
    private const string Fault = "The run failed. Quote its id when you report this.";

    private readonly WorkflowDefinition _definition = flow.Workflow.Definition;
    private bool _parked;

    public RunOutcome? Outcome { get; private set; }

    public IReadOnlyList<string> StepNames => steps.Names;

    public async Task RunAsync(bool resumed)
    {
        DateTimeOffset? deadline = _definition.Limits.MaxSeconds is { } seconds ? flow.Run.CreatedAt.AddSeconds(seconds) : null;
        TimeSpan left = deadline - services.Time.GetUtcNow() ?? Timeout.InfiniteTimeSpan;
        CancellationToken token = flow.Live.Begin(deadline is not null && left < TimeSpan.Zero ? TimeSpan.Zero : left, services.Time);
        flow.Live.Nudged = flow.Waits.Nudge;
        if (resumed) flow.Journal.Resumed();
        var root = new StepContext
        {
            Path = "",
            Inputs = flow.Live.Input.Inputs ?? JsonSerializer.SerializeToElement(new { }),
            Frame = new Frame(null),
            Deadline = deadline,
            LogOnly = flow.State.Compensating is not null,
            Workflows = [flow.Workflow.Slug],
            Token = token,
            InPlaceOf = flow.Live.Input.Undo?.RunId,
        };
        try
        {
            JsonElement? output = await OutputAsync(root);
            // Cancelled at the last moment, perhaps: what the log has is gone through without meeting why.
            if (flow.State.Compensating is { } undoing) await UndoAsync(undoing.Code, undoing.Message);
            else await CompleteAsync(output);
        }
        catch (ParkedException)
        {
            await ParkAsync();
        }
        catch (WorkflowEndedException e)
        {
            await UndoAsync(StepCodes.EndedAsFailed, e.Message);
        }
        catch (StepFailedException e)
        {
            await UndoAsync(e.Code, e.Message);
        }
        catch (StepException e)
        {
            await UndoAsync(e.Code, e.Message);
        }
        catch (WorkflowTemplateException e)
        {
            await UndoAsync(StepCodes.Template, e.Message);
        }
        catch (LogEndsException)
        {
            await UndoAsync(flow.State.Compensating!.Value.Code, flow.State.Compensating.Value.Message);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            if (flow.Live.Abandoned.IsCancellationRequested) throw;
            (string code, string message) = flow.Live.Cause == StopCause.None
                ? (Reasons.MaxSeconds, $"The workflow took longer than its limit of {_definition.Limits.MaxSeconds} seconds.")
                : (Reasons.Requested, "The run was cancelled.");
            await UndoAsync(code, message);
        }
        catch (Exception e) when (e is not (OperationCanceledException or LeaseLostException or StorageUnavailableException or OverloadedException))
        {
            // A fault of the platform's own leaves things half done as any other.
            await UndoAsync(ErrorCodes.InternalError, Fault);
            throw;
        }
    }

    public Task FailAsync() => Outcome is not null || _parked ? Task.CompletedTask : EndAsync(RunStatus.Failed, null, new RunError(500, ErrorCodes.InternalError, Fault), null);

    private async Task<JsonElement?> OutputAsync(StepContext root)
    {
        try
        {
            return await ResultAsync(root, await steps.BlockAsync(_definition.Steps, root));
        }
        catch (WorkflowEndedException e) when (!e.Failed && flow.State.Compensating is null)
        {
            return e.Output ?? await ResultAsync(root, null);
        }
    }

    /// <summary>The workflow's output; what it declares, or the output of the last step.</summary>
    private async Task<JsonElement?> ResultAsync(StepContext root, JsonElement? last) => _definition.Output is { } output ? output.Evaluate((await board.SeeAsync("#output", root)).Scope(flow.Run, flow.Run.CreatedAt)) : last;

    private async Task CompleteAsync(JsonElement? output)
    {
        if (_definition.OutputSchema is { } shape && shape.Check(output ?? JsonSerializer.SerializeToElement<object?>(null)) is { Count: > 0 } problems)
        {
            await UndoAsync(StepCodes.InvalidOutput, $"The output does not fit the workflow's schema: {string.Join("; ", problems)}.");
            return;
        }
        await EndAsync(RunStatus.Completed, null, null, output);
    }

    /// <summary>Undoes what was done, the last first, and ends the run. That this has begun is in the log before.</summary>
    private async Task UndoAsync(string code, string message)
    {
        if (flow.State.Compensating is null)
        {
            flow.State.Compensating = (code, message);
            await flow.Journal.TellAsync(RunEventTypes.Compensating, (code, message), static (json, s) =>
            {
                json.WriteString("code"u8, s.code);
                json.WriteString("message"u8, s.message);
            });
        }
        (code, message) = flow.State.Compensating.Value;
        try
        {
            UndoInput? undo = flow.Live.Input.Undo;
            StepFailedException? failure = await steps.CompensateAsync(undo?.UndoPath, flow.Live.Abandoned);
            if (undo is not null)
            {
                await EndUndoAsync(undo, failure);
                return;
            }
            bool undone = failure is null;
            await EndAsync(code == Reasons.Requested ? RunStatus.Cancelled : RunStatus.Failed, undone ? code == Reasons.Requested ? code : null : Reasons.CompensationFailed,
                code == Reasons.Requested ? null : new RunError(code == ErrorCodes.InternalError ? 500 : 422, code, message), null);
        }
        catch (ParkedException)
        {
            await ParkAsync();
        }
    }

    /// <summary>Ends a run that has tried what another could not undo.</summary>
    private Task EndUndoAsync(UndoInput undo, StepFailedException? failure)
    {
        StepRecord tried = flow.State.At(undo.UndoPath);
        if (failure is null && tried.Status != StepStatus.Completed && tried.Status != StepStatus.Skipped) failure = new StepFailedException(undo.UndoPath, StepCodes.OutcomeUnknown, "The run does not come to the step that is to be undone.");
        int attempts = tried.Status == StepStatus.New ? 0 : tried.Attempt;
        return failure is null ? EndAsync(RunStatus.Completed, null, null, tried.Output, attempts)
            : EndAsync(RunStatus.Failed, Reasons.CompensationFailed, new RunError(422, failure.Code, failure.Message), null, attempts);
    }

    private Task ParkAsync()
    {
        _parked = true;
        return flow.Journal.ParkAsync(new Parking(flow.Waits.WakeAt) { Paused = flow.Live.PauseRequested, Undoing = flow.State.Compensating is not null, Steps = flow.State.Steps, Usage = flow.State.Usage, CostUsd = flow.State.CostUsd });
    }

    private async Task EndAsync(RunStatus status, string? reason, RunError? error, JsonElement? output, int undoAttempts = 0)
    {
        RunRecord end = flow.Run with
        {
            Status = status,
            Reason = reason,
            Error = error,
            Steps = flow.State.Steps,
            Usage = flow.State.Usage,
            CostUsd = flow.State.CostUsd,
            Output = output is { } value ? JsonSerializer.SerializeToUtf8Bytes(value) : null,
            StartedAt = flow.Run.StartedAt ?? flow.Run.CreatedAt,
            EndedAt = services.Time.GetUtcNow(),
        };
        await flow.Journal.EndAsync(end, undoAttempts);
        Outcome = new RunOutcome(end, null);
    }

    private static class Reasons
    {
        public const string Requested = "requested";
        public const string MaxSeconds = "max_seconds";
        public const string CompensationFailed = "compensation_failed";
    }
}
