using System.Security.Cryptography;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Completions;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>Starts the run behind a response: of an agent, of a workflow, or of an agent that is nothing but a model.</summary>
internal sealed class ResponseStart(
    AgentCatalogue agents, IWorkflowSource workflows, IModelFacts models, StoredResponses responses, IConversationStore conversations, RunEngine engine)
{
    private const string AgentPrefix = "agent/";
    private const string WorkflowPrefix = "workflow/";

    /// <exception cref="ApiException">The request was refused.</exception>
    public async ValueTask<StartedRun> StartAsync(Caller caller, ResponseRequest request, string requestId, string? idempotencyKey, string? journeyId, CancellationToken cancellationToken)
    {
        WorkflowVersion? workflow = await WorkflowAsync(caller, request, cancellationToken);
        CompiledAgent? agent = workflow is null ? await AgentAsync(caller, request, cancellationToken) : null;
        if (agent is not null) AgentCompletions.Check(agent, request.Completion);
        if (request.PreviousId is { } previous)
        {
            StoredResponse before = await responses.FindAsync(caller.TenantId, previous)
                ?? throw new ApiException(400, ErrorCodes.PreviousResponseNotFound, $"The response '{previous}' was not found. It may not have been stored.", "previous_response_id");
            if (!before.Run.IsFinal) throw new ApiException(409, ErrorCodes.RunActive, $"The response '{previous}' is in progress. Wait for its end, or cancel it.", "previous_response_id") { RetryAfter = TimeSpan.FromSeconds(1) };
        }
        if (request.ConversationId is { } conversation && await conversations.FindAsync(caller.TenantId, conversation) is null)
            throw new ApiException(404, ErrorCodes.NotFound, "The conversation was not found.", "conversation");
        return await engine.StartAsync(new RunRequest
        {
            Caller = caller,
            Agent = agent,
            Workflow = workflow,
            Surface = RunInput.ResponseSurface,
            ConversationId = request.ConversationId,
            Input = new RunInput
            {
                Completion = request.Completion,
                Response = request,
                Inputs = workflow is null ? null : WorkflowText.Inputs(workflow, request.Completion.Messages, "input"),
                Variables = request.Completion.Variables,
                Stream = request.Stream,
                ClientJourneyId = journeyId,
            },
            RequestId = requestId,
            IdempotencyKey = idempotencyKey,
            RequestHash = idempotencyKey is null ? null : Convert.ToHexStringLower(SHA256.HashData(request.Body.Span)),
            Metadata = request.Metadata is { Count: > 0 } metadata ? JsonSerializer.Serialize(metadata, ConversationJson.Default.IReadOnlyDictionaryStringString) : null,
        });
    }

    private async ValueTask<WorkflowVersion?> WorkflowAsync(Caller caller, ResponseRequest request, CancellationToken cancellationToken)
    {
        if (!request.Model.StartsWith(WorkflowPrefix, StringComparison.Ordinal)) return null;
        string[] parts = request.Model[WorkflowPrefix.Length..].Split('@', 2);
        WorkflowVersion workflow = await workflows.FindAsync(caller.TenantId, parts[0], parts.Length > 1 ? parts[1] : null, cancellationToken) ?? throw NoModel($"The workflow '{request.Model[WorkflowPrefix.Length..]}' does not exist.");
        foreach (string name in (ReadOnlySpan<string>)["instructions", "previous_response_id", "conversation", "tools", "text"])
            if (request.Root.Member(name) is { } value && !(value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 0))
                throw ResponseRequest.Invalid($"A workflow has its input alone: leave out '{name}'.", name);
        return workflow;
    }

    private async ValueTask<CompiledAgent> AgentAsync(Caller caller, ResponseRequest request, CancellationToken cancellationToken)
    {
        string model = request.Model;
        if (model.StartsWith(AgentPrefix, StringComparison.Ordinal))
            return await agents.FindAsync(caller.TenantId, model[AgentPrefix.Length..], cancellationToken) ?? throw NoModel($"The agent '{model[AgentPrefix.Length..]}' does not exist.");
        return models.Knows(model) ? agents.OfModel(caller.TenantId, model)
            : throw NoModel($"The model '{model}' does not exist here. GET /v1/models lists what there is; an unlisted model of a configured provider is reachable as 'provider/model'.");
    }

    private static ApiException NoModel(string message) => new(404, ErrorCodes.ModelNotFound, message, "model");
}
