using System.Text;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>
/// Agents that answer for a workflow. Each answer is a run of its own, whose key follows from the place: after a crash the same run is found again, and
/// goes on from its own log.
/// </summary>
internal sealed class AgentCalls(Flow flow, Waiting waiting, RunEngine engine, RunServices services, AgentCatalogue agents)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>What an agent answers: text, or the value that its response format gives.</summary>
    /// <param name="path">The place; its answer is asked for once.</param>
    /// <param name="context">Of the step.</param>
    /// <param name="target">The agent.</param>
    /// <param name="message">What it is told.</param>
    /// <param name="variables">Values of its variables: an object.</param>
    /// <exception cref="StepException">It could not answer.</exception>
    public async Task<JsonElement> AskAsync(string path, StepContext context, TargetReference target, string message, JsonElement? variables = null)
    {
        StepRecord record = flow.State.At(path);
        if (record.Status == StepStatus.Completed) return record.Output!.Value;
        if (context.LogOnly) throw new LogEndsException();
        CheckLimits(context);
        while (true)
        {
            bool known = record.ChildRunId is not null;
            StartedRun started = record.ChildRunId is { } id ? await FindAsync(id, context.Token) : await StartAsync(path, record, target, message, variables, context.Token);
            RunRecord end = await OutcomeAsync(started, path, record, context);
            JsonElement? answer = await TakeAsync(path, record, context, end);
            if (answer is { } value) return value;
            // One that an earlier attempt cancelled, when its time was up, is no answer to this one.
            if (known && end.Status == RunStatus.Cancelled) continue;
            throw new StepException(end.Error?.Code ?? StepCodes.AgentFailed, end.Error?.Message ?? $"The agent's run ended as {RunStatusNames.Of(end.Status)}{(end.Reason is null ? "" : $" ({end.Reason})")}.");
        }
    }

    private void CheckLimits(StepContext context)
    {
        var limits = flow.Workflow.Definition.Limits;
        if (flow.State.Usage.InputTokens + flow.State.Usage.OutputTokens >= limits.MaxTokens) throw new StepException(StepCodes.LimitReached, "The workflow has used the tokens that it may.", retryable: false);
        // A bound on money that cannot be kept is not ignored.
        if (limits.MaxCostUsd is { } dollars && !(flow.State.CostUsd < dollars)) throw new StepException(StepCodes.LimitReached, "The workflow has cost what it may, or its cost is unknown.", retryable: false);
        if (context.Meter is { IsEmpty: true }) throw new StepException(StepCodes.BudgetExceeded, "The step has used what it may.", retryable: false);
    }

    private async Task<StartedRun> StartAsync(string path, StepRecord record, TargetReference target, string message, JsonElement? variables, CancellationToken cancellationToken)
    {
        CompiledAgent agent = await agents.FindAsync(flow.Run.TenantId, target.ToString(), cancellationToken)
            ?? throw new StepException(StepCodes.AgentNotFound, $"There is no agent '{target}'.", retryable: false);
        // Its place must be known before it is begun.
        await flow.Journal.FlushAsync();
        StartedRun started = await PatientlyAsync(async () => await engine.StartAsync(new RunRequest
        {
            Caller = new Caller { TenantId = flow.Run.TenantId, TenantSlug = "", UserId = flow.Run.UserId, ApiKeyId = flow.Run.ApiKeyId, Scopes = Scopes.None },
            Agent = agent,
            Surface = RunInput.StepSurface,
            ParentRunId = flow.Run.Id,
            Input = new RunInput
            {
                Message = message,
                MessageId = Ids.New("msg", services.Time),
                Variables = variables is { ValueKind: JsonValueKind.Object } values ? values.EnumerateObject().ToDictionary(v => v.Name, v => v.Value) : null,
                Stream = false,
            },
            RequestId = flow.Run.RequestId,
            IdempotencyKey = $"step:{flow.Run.Id}{path}:{record.Attempt}",
            RequestHash = "step",
        }), cancellationToken);
        record.ChildRunId = started.Run.Id;
        await flow.Journal.AppendAsync(RunEventTypes.ChildStarted, path, (started.Run, target), static (json, s) =>
        {
            json.WriteString("runId"u8, s.Run.Id);
            json.WriteString("agent"u8, s.target.ToString());
        });
        return started;
    }

    private async Task<StartedRun> FindAsync(string runId, CancellationToken cancellationToken)
    {
        RunRecord run = await PatientlyAsync(async () => await services.Store.FindAsync(flow.Run.TenantId, runId), cancellationToken) ?? throw new StepException(StepCodes.AgentFailed, $"The run {runId} of the step is gone.");
        return await PatientlyAsync(async () => await engine.LookAsync(run), cancellationToken);
    }

    /// <summary>Waits for the end of a run, in whichever process it is, and rests while it does; cancels it when the step is.</summary>
    private async Task<RunRecord> OutcomeAsync(StartedRun started, string path, StepRecord record, StepContext context)
    {
        CancellationToken cancellationToken = context.Token;
        try
        {
            while (true)
            {
                if (started.Outcome is { } known) return known.Run;
                if (started.Live is { } live && await live.Outcome.WaitAsync(cancellationToken) is { } outcome) return outcome.Run;
                flow.Live.Abandoned.ThrowIfCancellationRequested();
                started = await FindAsync(started.Run.Id, cancellationToken);
                if (started is not { Outcome: null, Live: null }) continue;
                if (started.Run.Status == RunStatus.Waiting) await waiting.ChildAsync(started.Run, context, path, record);
                else await Task.Delay(Pause, services.Time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (!flow.Live.Abandoned.IsCancellationRequested)
        {
            await engine.CancelAsync(started.Run.TenantId, started.Run.Id, StopCause.Requested);
            throw;
        }
    }

    private async Task<JsonElement?> TakeAsync(string path, StepRecord record, StepContext context, RunRecord end)
    {
        flow.State.Spent(end.Usage, end.CostUsd);
        context.Meter?.Spent(end.Usage, end.CostUsd);
        JsonElement? answer = end.Status == RunStatus.Completed ? await AnswerAsync(end) : null;
        if (answer is { } output) (record.Status, record.Output) = (StepStatus.Completed, output);
        else record.BeginAttempt(record.Attempt + 1);
        await flow.Journal.AppendAsync(RunEventTypes.ChildCompleted, path, (end, answer), static (json, s) =>
        {
            json.WriteString("runId"u8, s.end.Id);
            json.WriteString("status"u8, RunStatusNames.Of(s.end.Status));
            if (s.answer is { } value)
            {
                json.WritePropertyName("output"u8);
                value.WriteTo(json);
            }
            RunLog.WriteUsage(json, s.end.Usage, s.end.CostUsd);
        });
        return answer;
    }

    /// <summary>A database that is away for a while is waited for: the run was accepted.</summary>
    private async Task<T> PatientlyAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        long begun = services.Time.GetTimestamp();
        while (true)
        {
            try
            {
                return await call();
            }
            catch (Exception e) when (e is OverloadedException or StorageUnavailableException or ApiException { Status: 429 or 503 } && services.Time.GetElapsedTime(begun) < Patience)
            {
                flow.Live.Abandoned.ThrowIfCancellationRequested();
                await Task.Delay(Pause, services.Time, cancellationToken);
            }
        }
    }

    private async Task<JsonElement> AnswerAsync(RunRecord end)
    {
        byte[]? data = await services.Store.LastEventAsync(end.TenantId, end.Id, RunEventTypes.MessageCompleted);
        string text = data is null ? "" : Encoding.UTF8.GetString(FinalMessage.Parse(data).Text.Span);
        CompiledAgent? agent = await agents.FindVersionAsync(end.TenantId, end.AgentId, end.AgentVersion, CancellationToken.None);
        if (agent?.ResponseSchema is not null && JsonText.TryParse(text) is { } value) return value;
        return JsonSerializer.SerializeToElement(text);
    }
}

/// <summary>JSON that may be none.</summary>
internal static class JsonText
{
    /// <summary>The value of a text; null when it is no JSON.</summary>
    public static JsonElement? TryParse(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 128 });
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
