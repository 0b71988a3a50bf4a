using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Webhooks;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Body of POST /api/v1/runs: an agent with a message, or a workflow with inputs.</summary>
internal sealed record StartRunRequest
{
    /// <summary>The agent's slug, <c>slug@label</c> or <c>slug@version</c>.</summary>
    public string? Agent { get; init; }
    /// <summary>What the agent is told.</summary>
    public string? Message { get; init; }
    /// <summary>Values of the variables in the agent's instructions.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }
    /// <summary>The workflow's slug, <c>slug@label</c> or <c>slug@version</c>.</summary>
    public string? Workflow { get; init; }
    /// <summary>The workflow's inputs.</summary>
    public JsonElement? Inputs { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
    /// <summary>Is told of this run, beside the tenant's webhook endpoints.</summary>
    public RunWebhook? Webhook { get; init; }
}

/// <summary>POST /api/v1/runs.</summary>
internal static class StartRunEndpoint
{
    private const int MaxWait = 60;
    private const int MaxMessageLength = 1_000_000;

    public static async Task<Results<Accepted<RunView>, Ok<RunView>, ProblemHttpResult>> StartAsync(HttpContext http, StartRunRequest body, double? wait, AgentCatalogue agents, IWorkflowSource workflows,
        RunEngine engine, RunOutcomes outcomes, IRunStore store, RunWebhooks webhooks, WebhookChecks checks, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (wait is < 0 or > MaxWait) return Problems.Invalid("wait", $"must be between 0 and {MaxWait} seconds.");
        if (Check(body, checks) is { Count: > 0 } errors) return Problems.Invalid(errors);
        CompiledAgent? agent = null;
        WorkflowVersion? workflow = null;
        if (body.Agent is { } reference)
        {
            if ((agent = await agents.FindAsync(caller.TenantId, reference, cancellationToken)) is null) return Problems.Of(404, ErrorCodes.AgentNotFound, $"Agent '{reference}' was not found.");
            if (agent.Instructions.Check(body.Variables) is { Count: > 0 } wrong) return Problems.Invalid(new Dictionary<string, string[]> { ["variables"] = [.. wrong] });
        }
        else
        {
            string[] parts = body.Workflow!.Split('@', 2);
            if ((workflow = await workflows.FindAsync(caller.TenantId, parts[0], parts.Length > 1 ? parts[1] : null, cancellationToken)) is null)
                return Problems.Of(404, ErrorCodes.WorkflowNotFound, $"Workflow '{body.Workflow}' was not found.");
            if (workflow.Definition.Inputs is { } shape && shape.Check(body.Inputs ?? Empty) is { Count: > 0 } wrong) return Problems.Invalid(new Dictionary<string, string[]> { ["inputs"] = [.. wrong] });
        }
        string? key = http.Request.IdempotencyKey();
        string runId = Ids.New("run", time);
        var request = new RunRequest
        {
            RunId = runId,
            Caller = caller,
            Agent = agent,
            Workflow = workflow,
            Surface = RunInput.RunSurface,
            Input = new RunInput
            {
                Message = body.Message,
                MessageId = agent is null ? null : Ids.New("msg", time),
                Variables = body.Variables,
                Inputs = workflow is null ? null : body.Inputs ?? Empty,
                Stream = false,
            },
            RequestId = http.GetRequestId(),
            IdempotencyKey = key,
            RequestHash = key is null ? null : Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(body, ConversationJson.Default.StartRunRequest))),
            Metadata = body.Metadata is { Count: > 0 } metadata ? JsonSerializer.Serialize(metadata, ConversationJson.Default.IReadOnlyDictionaryStringString) : null,
        };
        // Made here, it is shown once; of a repetition the first answer had it.
        string? secret = body.Webhook is { Secret: null } ? WebhookSecrets.New() : null;
        StartedRun started = body.Webhook is not { } webhook ? await engine.StartAsync(request)
            : await webhooks.AroundAsync(caller.TenantId, runId, webhook with { Secret = webhook.Secret ?? secret }, () => engine.StartAsync(request));
        RunRecord run = started.Outcome?.Run ?? await WaitAsync(started, wait ?? 0, outcomes, store, time, cancellationToken);
        RunView view = RunView.Of(run) with { WebhookSecret = run.Id == runId ? secret : null };
        return run.IsFinal ? TypedResults.Ok(view) : TypedResults.Accepted($"/api/v1/runs/{run.Id}", view);
    }

    private static JsonElement Empty { get; } = JsonSerializer.SerializeToElement(new { });

    private static async Task<RunRecord> WaitAsync(StartedRun started, double seconds, RunOutcomes outcomes, IRunStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        if (seconds == 0) return started.Run;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(seconds), time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            if (await outcomes.WaitAsync(started, linked.Token) is { } outcome) return outcome.Run;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It goes on in the background.
        }
        return await store.FindAsync(started.Run.TenantId, started.Run.Id) ?? started.Run;
    }

    private static Dictionary<string, string[]> Check(StartRunRequest body, WebhookChecks checks)
    {
        Dictionary<string, string[]> errors = body.Webhook is { } webhook ? checks.Check(webhook.Url, null, webhook.Events, webhook.Secret, "webhook.") : [];
        if (body.Agent is null == body.Workflow is null) errors["agent"] = ["give either 'agent' or 'workflow'."];
        if (body.Agent is not null && string.IsNullOrWhiteSpace(body.Message)) errors["message"] = ["is required with an agent."];
        if (body.Message?.Length > MaxMessageLength) errors["message"] = [$"may have {MaxMessageLength} characters."];
        if (body.Workflow is not null && (body.Message is not null || body.Variables is not null)) errors["message"] = ["and 'variables' go with an agent; a workflow has 'inputs'."];
        if (body.Inputs is { } inputs && (body.Workflow is null || inputs.ValueKind != JsonValueKind.Object)) errors["inputs"] = ["goes with a workflow, and is an object."];
        if (body.Metadata is { } metadata && (metadata.Count > 16 || metadata.Any(m => m.Key.Length > 64 || m.Value is null || m.Value.Length > 512)))
            errors["metadata"] = ["may have 16 entries, with names of at most 64 and values of at most 512 characters."];
        return errors;
    }
}
