using System.Text;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>
/// Agents that answer for a workflow. Each answer is a run of its own, whose key follows from the place: after a crash the same run is found again, and
/// goes on from its own log.
/// </summary>
internal sealed class AgentCalls(Flow flow, Waiting waiting, RunEngine engine, ChildRuns children, RunServices services, AgentCatalogue agents)
{
    /// <summary>What an agent answers: text, or the value that its response format gives.</summary>
    /// <param name="path">The place; its answer is asked for once.</param>
    /// <param name="context">Of the step.</param>
    /// <param name="target">The agent.</param>
    /// <param name="message">What it is told.</param>
    /// <param name="variables">Values of its variables: an object.</param>
    /// <param name="from">The agent that hands over to this one.</param>
    /// <exception cref="StepException">It could not answer.</exception>
    public async Task<JsonElement> AskAsync(string path, StepContext context, TargetReference target, string message, JsonElement? variables = null, string? from = null)
    {
        StepRecord record = flow.State.At(path);
        if (record.Status == StepStatus.Completed) return record.Output!.Value;
        if (context.LogOnly) throw new LogEndsException();
        if (record.Failure is { } failure)
        {
            // A crash came between the agent's failure and what the step made of it.
            record.Failure = null;
            throw new StepException(failure.Code, failure.Message);
        }
        CheckLimits(context);
        while (true)
        {
            bool known = record.ChildRunId is not null;
            StartedRun started = (known ? await children.FindAsync(flow.Run.TenantId, record.ChildRunId!, flow.Live.Abandoned, context.Token) : null)
                // One that is told of may not have been accepted any more when the process ended.
                ?? await StartAsync(path, record, target, message, variables, from, context);
            Task<RunOutcome> answering = OutcomeAsync(started, path, record, context);
            RunOutcome outcome = await (context.Clock?.OutsideAsync(answering) ?? answering);
            RunRecord end = outcome.Run;
            // One that an earlier attempt cancelled, when its time was up, is no answer to this one.
            StepException? failed = end.Status == RunStatus.Completed || (known && end.Status == RunStatus.Cancelled) ? null
                : new StepException(end.Error?.Code ?? StepCodes.AgentFailed, end.Error?.Message ?? $"The agent's run ended as {RunStatusNames.Of(end.Status)}{(end.Reason is null ? "" : $" ({end.Reason})")}.");
            JsonElement? answer = await TakeAsync(path, record, context, outcome, failed);
            if (answer is { } value) return value;
            if (failed is not null) throw failed;
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

    private async Task<StartedRun> StartAsync(string path, StepRecord record, TargetReference target, string message, JsonElement? variables, string? from, StepContext context)
    {
        CompiledAgent agent = await agents.FindAsync(flow.Run.TenantId, target.ToString(), context.Token)
            ?? throw new StepException(StepCodes.AgentNotFound, $"There is no agent '{target}'.", retryable: false);
        var input = new RunInput
        {
            Message = message,
            MessageId = Ids.New("msg", services.Time),
            Variables = variables is { ValueKind: JsonValueKind.Object } values ? values.EnumerateObject().ToDictionary(v => v.Name, v => v.Value) : null,
            Stream = false,
        };
        // Where nobody can have started it before, the log tells of the run in the write that accepts it.
        if (record.ChildRunId is null && context.BegunHere) Tell(flow.Journal.Add, Ids.New("run", services.Time));
        var child = new ChildRun(agent, null, input, $"step:{flow.Run.Id}{path}:{record.Attempt}", "step", record.ChildRunId, flow.Journal.EndAsync);
        // Its place, and what it is asked, must be known before it is begun.
        StartedRun started = await flow.Journal.StartAsync(write => children.StartWithAsync(flow.Run, child, write), () => children.StartAsync(flow.Run, child, flow.Live.Abandoned, context.Token));
        if (record.ChildRunId is null) Tell(flow.Journal.AddSoon, started.Run.Id);
        return started;

        // After a crash the run is found by its key, also without this.
        void Tell(Func<string, string, AgentAsked, Action<Utf8JsonWriter, AgentAsked>, long> add, string runId)
        {
            record.ChildRunId = runId;
            record.Asked = ProgressGuard.Hash(ToolRunner.Bound(message));
            add(RunEventTypes.ChildStarted, path, new AgentAsked(runId, target, message, from), static (json, s) =>
            {
                json.WriteString("runId"u8, s.RunId);
                json.WriteString("agent"u8, s.Target.ToString());
                if (s.From is not null) json.WriteString("handedOverBy"u8, s.From);
                json.WriteString("message"u8, ToolRunner.Bound(s.Message));
            });
        }
    }

    private async Task<StartedRun> FindAsync(string runId, CancellationToken cancellationToken) =>
        await children.FindAsync(flow.Run.TenantId, runId, flow.Live.Abandoned, cancellationToken) ?? throw new StepException(StepCodes.AgentFailed, $"The run {runId} of the step is gone.");

    /// <summary>Waits for the end of a run, in whichever process it is, and rests while it does; cancels it when the step is.</summary>
    private async Task<RunOutcome> OutcomeAsync(StartedRun started, string path, StepRecord record, StepContext context)
    {
        CancellationToken cancellationToken = context.Token;
        try
        {
            while (true)
            {
                RunOutcome outcome = await children.EndOrRestAsync(started, flow.Live.Abandoned, cancellationToken);
                if (!outcome.Run.IsResting) return outcome;
                await waiting.ChildAsync(outcome.Run, context, path, record);
                started = await FindAsync(started.Run.Id, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (!flow.Live.Abandoned.IsCancellationRequested)
        {
            await engine.CancelAsync(started.Run.TenantId, started.Run.Id, StopCause.Requested);
            throw;
        }
    }

    private async Task<JsonElement?> TakeAsync(string path, StepRecord record, StepContext context, RunOutcome outcome, StepException? failed)
    {
        RunRecord end = outcome.Run;
        flow.State.Spent(end.Usage, end.CostUsd);
        context.Meter?.Spent(end.Usage, end.CostUsd);
        JsonElement? answer = end.Status == RunStatus.Completed ? await AnswerAsync(outcome) : null;
        if (answer is { } output) (record.Status, record.Output) = (StepStatus.Completed, output);
        else record.BeginAttempt(record.Attempt + 1);
        flow.Journal.AddSoon(RunEventTypes.ChildCompleted, path, (end, answer, failed), static (json, s) =>
        {
            json.WriteString("runId"u8, s.end.Id);
            json.WriteString("status"u8, RunStatusNames.Of(s.end.Status));
            if (s.answer is { } value)
            {
                json.WritePropertyName("output"u8);
                value.WriteTo(json);
            }
            if (s.failed is not null)
            {
                json.WriteString("code"u8, s.failed.Code);
                json.WriteString("message"u8, s.failed.Message);
            }
            RunLog.WriteUsage(json, s.end.Usage, s.end.CostUsd);
        });
        // A good answer is in the log of its run. What is done about a failure depends on what was known of the run before.
        if (answer is null) await flow.Journal.FlushAsync();
        return answer;
    }

    private async Task<JsonElement> AnswerAsync(RunOutcome outcome)
    {
        string text = outcome.Message is { } message ? Encoding.UTF8.GetString(message.Text.Span) : "";
        CompiledAgent? agent = await agents.FindVersionAsync(outcome.Run.TenantId, outcome.Run.AgentId, outcome.Run.AgentVersion, CancellationToken.None);
        if (agent?.ResponseSchema is not null && JsonText.TryParse(text) is { } value) return value;
        return JsonSerializer.SerializeToElement(text);
    }
}

/// <summary>What an agent is asked, and in which run.</summary>
internal sealed record AgentAsked(string RunId, TargetReference Target, string Message, string? From);

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
