using System.IO.Pipelines;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Contracts.Clients;

/// <summary>
/// The orchestrator as the gateway sees it: an agent answers a chat completion. Requests and responses are in the OpenAI
/// chat-completions dialect, so that the gateway relays an agent exactly as it relays a provider.
/// </summary>
public interface IAgentCompletions
{
    /// <summary>
    /// Starts a run of the agent and returns once the answer's status is known. The run is on disk before this returns
    /// with status 200. Cancelling <paramref name="cancellationToken"/> cancels the run.
    /// </summary>
    ValueTask<IAgentCompletion> CompleteAsync(AgentCompletionRequest request, CancellationToken cancellationToken);

    /// <summary>The agents and workflows that the caller may name as <c>agent/&lt;slug&gt;</c> and <c>workflow/&lt;slug&gt;</c>, for the list of models.</summary>
    ValueTask<IReadOnlyList<AgentSummary>> ListAsync(Caller caller, CancellationToken cancellationToken);
}

/// <summary>A chat completion to be answered by an agent.</summary>
public sealed record AgentCompletionRequest
{
    public required Caller Caller { get; init; }

    /// <summary>Before the slug of a workflow in <see cref="Agent"/>.</summary>
    public const string WorkflowPrefix = "workflow/";

    /// <summary>
    /// The agent's slug, optionally with a version label or number: <c>support</c>, <c>support@staging</c>, <c>support@3</c>. A workflow has its prefix in front:
    /// <c>workflow/orders</c>.
    /// </summary>
    public required string Agent { get; init; }

    /// <summary>The request as the client sent it: untrusted JSON, already checked to be one object of bounded depth and size.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>True when the answer is to be server-sent events.</summary>
    public required bool Stream { get; init; }

    public required string RequestId { get; init; }

    /// <summary>The client's <c>Idempotency-Key</c>, if it sent one.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>A journey that the client wants this request to be part of, if it named one.</summary>
    public string? JourneyId { get; init; }
}

/// <summary>The answer of an agent. Dispose it when the body has been read or is no longer wanted.</summary>
public interface IAgentCompletion : IAsyncDisposable
{
    /// <summary>HTTP status: 200, or an error whose body is the OpenAI error object.</summary>
    int StatusCode { get; }

    /// <summary>The run's id; null when the request was refused before a run was made.</summary>
    string? RunId { get; }

    /// <summary>The OpenAI body: one JSON object, or server-sent events ending in <c>[DONE]</c> when streamed.</summary>
    PipeReader Body { get; }

    /// <summary>Once the body was read: a stream ended with an error in place of its answer.</summary>
    bool Failed { get; }

    /// <summary>Seconds after which the client may try again, on 429 and 503.</summary>
    int? RetryAfterSeconds { get; }
}

/// <summary>An agent or a workflow as shown in lists.</summary>
public sealed record AgentSummary(string Slug, string Name, DateTimeOffset CreatedAt)
{
    /// <summary>It is a workflow.</summary>
    public bool IsWorkflow { get; init; }
}
