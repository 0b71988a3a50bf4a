using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tools.SubRuns;

/// <summary>What is to be run.</summary>
/// <param name="Agent">The agent; null when it is a workflow.</param>
/// <param name="Workflow">The workflow; null when it is an agent.</param>
/// <param name="Input">What it is asked.</param>
internal sealed record SubRunTarget(CompiledAgent? Agent, WorkflowVersion? Workflow, RunInput Input);

/// <summary>
/// Runs that an agent's calls start. The key of such a run follows from the call, so that after a crash the same one is found again and not a second one started; it is
/// cancelled with the run that asked for it. While it rests, so does the run that asked.
/// </summary>
internal sealed class SubRunCalls(Lazy<RunEngine> engine, ChildRuns children, Lazy<AgentCatalogue> agents, IWorkflowSource workflows, IRunStore store, RunMetrics metrics, IOptions<RunsOptions> options, TimeProvider time)
{
    /// <exception cref="ToolException">There is no such agent, or the variables are wrong.</exception>
    public async Task<SubRunTarget> AgentAsync(string tenantId, string reference, string message, IReadOnlyDictionary<string, JsonElement>? variables, CancellationToken cancellationToken)
    {
        CompiledAgent agent = await agents.Value.FindAsync(tenantId, reference, cancellationToken) ?? throw new ToolException($"There is no agent '{reference}' any more.");
        if (agent.Instructions.Check(variables) is { Count: > 0 } wrong) throw new ToolException($"The variables do not fit: {string.Join(" ", wrong)}");
        return new SubRunTarget(agent, null, new RunInput { Message = message, MessageId = Ids.New("msg", time), Variables = variables, Stream = false });
    }

    /// <exception cref="ToolException">There is no such workflow.</exception>
    public async Task<SubRunTarget> WorkflowAsync(string tenantId, string slug, string? selector, JsonElement inputs, CancellationToken cancellationToken)
    {
        WorkflowVersion workflow = await workflows.FindAsync(tenantId, slug, selector, cancellationToken) ?? throw new ToolException($"There is no workflow '{slug}' any more.");
        return new SubRunTarget(null, workflow, new RunInput { Inputs = inputs, Stream = false });
    }

    /// <summary>Makes the call of a run's: waits for the end of the run that it starts, unless that rests.</summary>
    /// <param name="context">The call.</param>
    /// <param name="target">What is to be run, asked for when nothing has been started yet.</param>
    /// <param name="cancellationToken">Cancels the run too.</param>
    public async Task<ToolResult> RunAsync(ToolContext context, Func<Task<SubRunTarget>> target, CancellationToken cancellationToken)
    {
        if (context.Run is not { } parent) throw new ToolException("Agents and workflows are called as tools inside of runs only. Start a run of its own instead.");
        // Another process, or the next start, goes on with an abandoned run and with what it waits for.
        CancellationToken abandoned = engine.Value.Find(parent.TenantId, parent.Id)?.Abandoned ?? new CancellationToken(true);
        StartedRun started = context.ChildRunId is { } id ? await FindAsync(parent, id, abandoned) : await StartAsync(context, parent, await target(), abandoned, cancellationToken);
        DateTimeOffset? until = context.Settings.TimeoutSeconds is { } seconds ? started.Run.CreatedAt.AddSeconds(seconds) : null;
        TimeSpan left = until - time.GetUtcNow() ?? Timeout.InfiniteTimeSpan;
        using CancellationTokenSource timeout = LongCancellation.After(until is not null && left < TimeSpan.Zero ? TimeSpan.Zero : left, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            RunOutcome outcome = await children.EndOrRestAsync(started, abandoned, limit.Token);
            if (!outcome.Run.IsResting) return Result(outcome);
            limit.Token.ThrowIfCancellationRequested();
            return new ToolResult("") { Rests = new RestingCall(started.Run.Id, until) };
        }
        catch (OperationCanceledException)
        {
            // The run's own token fires next: no result of this call is to be told.
            if (abandoned.IsCancellationRequested) await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            await engine.Value.CancelAsync(parent.TenantId, started.Run.Id, StopCause.Requested);
            cancellationToken.ThrowIfCancellationRequested();
            throw new ToolException($"The run of {What(started.Run)} took longer than {context.Settings.TimeoutSeconds:0.#} s and was cancelled.") { Code = ToolErrorCodes.Timeout, RunId = started.Run.Id };
        }
    }

    private async Task<StartedRun> StartAsync(ToolContext context, RunRecord parent, SubRunTarget target, CancellationToken abandoned, CancellationToken cancellationToken)
    {
        await CheckDepthAsync(parent);
        if (target.Agent is { } agent && options.Value.MaxIdenticalRounds > 0) await CheckCircleAsync(parent, agent, target.Input);
        try
        {
            return await children.StartAsync(parent, new ChildRun(target.Agent, target.Workflow, target.Input, $"tool:{context.IdempotencyKey}", "tool"), abandoned, cancellationToken);
        }
        catch (ApiException e)
        {
            throw new ToolException(e.Message) { Code = e.Code };
        }
    }

    // Found whatever was asked of this call: one that is to be cancelled has its run cancelled.
    private async Task<StartedRun> FindAsync(RunRecord parent, string runId, CancellationToken abandoned) =>
        await children.FindAsync(parent.TenantId, runId, abandoned, abandoned) ?? throw new ToolException("The run of this call is gone.");

    private async Task CheckDepthAsync(RunRecord parent)
    {
        int depth = 1;
        for (RunRecord? run = parent; run?.ParentRunId is { } id; depth++) run = await store.FindAsync(parent.TenantId, id);
        if (depth > options.Value.MaxSubRunDepth)
            throw new ToolException($"Runs start runs {options.Value.MaxSubRunDepth} deep at most, and this one is that deep. Do the task yourself.") { Code = ToolErrorCodes.RunDepthExceeded };
    }

    /// <summary>An agent that is asked, on its way to an answer, what it was asked itself goes round in a circle.</summary>
    private async Task CheckCircleAsync(RunRecord parent, CompiledAgent agent, RunInput input)
    {
        for (RunRecord? run = parent; run is not null; run = run.ParentRunId is { } id ? await store.FindAsync(parent.TenantId, id) : null)
        {
            if (run.Kind != RunKind.Agent || run.AgentId != agent.Id || await store.EventsAsync(run.TenantId, run.Id, 0, 1) is not [{ } accepted]) continue;
            RunInput asked = RunInput.FromEvent(accepted.Data);
            if (asked.Message != input.Message || !Same(asked.Variables, input.Variables)) continue;
            metrics.NoProgress("sub_run");
            throw new ToolException($"This question goes round in a circle: the run {run.Id} of {What(run)} is answering it already, and waits for you. Answer with what you know.") { Code = ToolErrorCodes.NoProgress };
        }
    }

    private static bool Same(IReadOnlyDictionary<string, JsonElement>? one, IReadOnlyDictionary<string, JsonElement>? other) =>
        (one?.Count ?? 0) == (other?.Count ?? 0) && (one is null || one.All(v => other!.TryGetValue(v.Key, out JsonElement value) && JsonElement.DeepEquals(v.Value, value)));

    private static string What(RunRecord run) => $"{RunKindNames.Of(run.Kind)} '{run.Agent}'";

    /// <summary>What a run that has ended gives whoever asked for it.</summary>
    public static ToolResult Result(RunOutcome outcome)
    {
        RunRecord run = outcome.Run;
        string text = run.Status == RunStatus.Completed
            ? run.Kind == RunKind.Workflow ? Encoding.UTF8.GetString(run.Output ?? "null"u8.ToArray()) : outcome.Message is { } message ? Encoding.UTF8.GetString(message.Text.Span) : ""
            : run.Error is { } error ? $"The run of {What(run)} failed ({error.Code}): {error.Message}" : $"The run of {What(run)} ended as {RunStatusNames.Of(run.Status)}{(run.Reason is null ? "" : $" ({run.Reason})")}.";
        return new ToolResult(text) { IsError = run.Status != RunStatus.Completed, Usage = run.Usage, CostUsd = run.CostUsd, RunId = run.Id };
    }
}
