using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tools.SubRuns;

/// <summary>What is to be run.</summary>
/// <param name="Agent">The agent; null when it is a workflow.</param>
/// <param name="Workflow">The workflow; null when it is an agent.</param>
/// <param name="Input">What it is asked.</param>
/// <param name="What">Its name in messages.</param>
internal sealed record SubRunTarget(CompiledAgent? Agent, WorkflowVersion? Workflow, RunInput Input, string What);

/// <summary>
/// Runs that an agent's calls start. The key of such a run follows from the call, so that after a crash the same one is found again and not a second one started; it is
/// cancelled with the run that asked for it.
/// </summary>
internal sealed class SubRunCalls(Lazy<RunEngine> engine, Lazy<RunOutcomes> outcomes, Lazy<AgentCatalogue> agents, IWorkflowSource workflows, IRunStore store, IOptions<RunsOptions> options, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <exception cref="ToolException">There is no such agent, or the variables are wrong.</exception>
    public async Task<SubRunTarget> AgentAsync(string tenantId, string reference, string message, IReadOnlyDictionary<string, JsonElement>? variables, CancellationToken cancellationToken)
    {
        CompiledAgent agent = await agents.Value.FindAsync(tenantId, reference, cancellationToken) ?? throw new ToolException($"There is no agent '{reference}' any more.");
        if (agent.Instructions.Check(variables) is { Count: > 0 } wrong) throw new ToolException($"The variables do not fit: {string.Join(" ", wrong)}");
        return new SubRunTarget(agent, null, new RunInput { Message = message, MessageId = Ids.New("msg", time), Variables = variables, Stream = false }, $"agent '{reference}'");
    }

    /// <exception cref="ToolException">There is no such workflow.</exception>
    public async Task<SubRunTarget> WorkflowAsync(string tenantId, string slug, string? selector, JsonElement inputs, CancellationToken cancellationToken)
    {
        WorkflowVersion workflow = await workflows.FindAsync(tenantId, slug, selector, cancellationToken) ?? throw new ToolException($"There is no workflow '{slug}' any more.");
        return new SubRunTarget(null, workflow, new RunInput { Inputs = inputs, Stream = false }, $"workflow '{slug}'");
    }

    /// <summary>Makes the call of a run's.</summary>
    public async Task<ToolResult> RunAsync(ToolContext context, SubRunTarget target, CancellationToken cancellationToken)
    {
        if (context.Run is not { } parent) throw new ToolException("Agents and workflows are called as tools inside of runs only. Start a run of its own instead.");
        await CheckDepthAsync(parent);
        using var timeout = new CancellationTokenSource(context.Settings.TimeoutSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        StartedRun? started = null;
        try
        {
            started = await StartAsync(new RunRequest
            {
                Agent = target.Agent,
                Workflow = target.Workflow,
                Caller = new Caller { TenantId = parent.TenantId, TenantSlug = "", UserId = parent.UserId, ApiKeyId = parent.ApiKeyId, Scopes = Scopes.None },
                Surface = RunInput.StepSurface,
                ParentRunId = parent.Id,
                Input = target.Input,
                RequestId = parent.RequestId,
                IdempotencyKey = $"tool:{context.IdempotencyKey}",
                RequestHash = "tool",
                // Whom it is for, above all.
                Metadata = parent.Metadata,
            }, limit.Token);
            RunOutcome? outcome = await outcomes.Value.WaitAsync(started, limit.Token);
            // The process stops: the next one asks again, and finds the same run.
            if (outcome is null) await Task.Delay(Timeout.InfiniteTimeSpan, limit.Token);
            return Result(outcome!, target.What);
        }
        catch (OperationCanceledException)
        {
            if (started is not null && !IsAbandoned(parent)) await engine.Value.CancelAsync(parent.TenantId, started.Run.Id, StopCause.Requested);
            if (cancellationToken.IsCancellationRequested) throw;
            throw new ToolException($"The run of {target.What} took longer than {context.Settings.TimeoutSeconds:0.#} s and was cancelled.") { Code = ToolErrorCodes.Timeout };
        }
    }

    private async Task CheckDepthAsync(RunRecord parent)
    {
        int depth = 1;
        for (RunRecord? run = parent; run?.ParentRunId is { } id; depth++) run = await store.FindAsync(parent.TenantId, id);
        if (depth > options.Value.MaxSubRunDepth)
            throw new ToolException($"Runs start runs {options.Value.MaxSubRunDepth} deep at most, and this one is that deep. Do the task yourself.") { Code = ToolErrorCodes.RunDepthExceeded };
    }

    /// <summary>A database that is away for a while is waited for, and so is the run after a crash until it is taken up.</summary>
    private async Task<StartedRun> StartAsync(RunRequest request, CancellationToken cancellationToken)
    {
        long begun = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await engine.Value.StartAsync(request);
            }
            catch (Exception e) when (e is OverloadedException or StorageUnavailableException or ApiException { Status: 429 or 503 } && time.GetElapsedTime(begun) < Patience)
            {
                await Task.Delay(Pause, time, cancellationToken);
            }
            catch (ApiException e)
            {
                throw new ToolException(e.Message) { Code = e.Code };
            }
        }
    }

    // Another process, or the next start, goes on with the run and with what it waits for.
    private bool IsAbandoned(RunRecord parent) => engine.Value.Find(parent.TenantId, parent.Id) is not { } live || live.Abandoned.IsCancellationRequested;

    /// <summary>What a run that has ended gives whoever asked for it.</summary>
    public static ToolResult Result(RunOutcome outcome, string what)
    {
        RunRecord run = outcome.Run;
        string text = run.Status == RunStatus.Completed
            ? run.Kind == RunKind.Workflow ? Encoding.UTF8.GetString(run.Output ?? "null"u8.ToArray()) : outcome.Message is { } message ? Encoding.UTF8.GetString(message.Text.Span) : ""
            : run.Error is { } error ? $"The run of {what} failed ({error.Code}): {error.Message}" : $"The run of {what} ended as {RunStatusNames.Of(run.Status)}{(run.Reason is null ? "" : $" ({run.Reason})")}.";
        return new ToolResult(text) { IsError = run.Status != RunStatus.Completed, Usage = run.Usage, CostUsd = run.CostUsd };
    }
}
