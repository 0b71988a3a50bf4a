using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Conversations.Takeover;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Body of POST /api/v1/chat.</summary>
internal sealed record ChatRequest
{
    /// <summary>The agent's slug, <c>slug@label</c> or <c>slug@version</c>. May be left out to go on with a conversation's agent.</summary>
    public string? Agent { get; init; }
    public string? Message { get; init; }
    /// <summary>Goes on with a conversation; a new one is made when absent.</summary>
    public string? ConversationId { get; init; }
    /// <summary>Values of the variables in the agent's instructions.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }
    /// <summary>Server-sent events instead of JSON; the default follows the Accept header.</summary>
    public bool? Stream { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>Answer of POST /api/v1/chat.</summary>
/// <param name="RunId">The run; null when a person handles the conversation, and none was begun.</param>
/// <param name="ConversationId">The conversation.</param>
/// <param name="Message">The agent's message.</param>
/// <param name="Usage">Of the run.</param>
/// <param name="Model">The model that wrote the message.</param>
/// <param name="Status">Of the run; <c>handled</c> when a person is to answer.</param>
/// <param name="Reason">Why the run stopped as it did.</param>
internal sealed record ChatResponse(string? RunId, string? ConversationId, ChatAnswer? Message, UsageView Usage, string? Model, string Status, string? Reason);

/// <summary>The agent's message.</summary>
internal sealed record ChatAnswer(string Id, string Role, string Content);

/// <summary>Tokens and cost; the cost is null when it is unknown. Estimated: a provider reported no usage, and its tokens were counted here.</summary>
internal sealed record UsageView(long InputTokens, long CachedInputTokens, long OutputTokens, long ReasoningTokens, bool Estimated, decimal? CostUsd)
{
    public static UsageView Of(RunRecord run) => new(run.Usage.InputTokens, run.Usage.CachedInputTokens, run.Usage.OutputTokens, run.Usage.ReasoningTokens, run.Usage.Estimated, run.CostUsd);
}

/// <summary>POST /api/v1/chat.</summary>
internal static class ChatEndpoints
{
    private const int MaxMessageLength = 1_000_000;

    public static void MapChat(this IEndpointRouteBuilder routes) => routes.MapPost("/api/v1/chat", ChatAsync)
        .WithTags("Chat").RequireScope(Scopes.RunsWrite)
        // A run has the agent's time limit.
        .DisableRequestTimeout()
        .WithSummary("Send a message to an agent; the answer is JSON, or server-sent events with stream=true or Accept: text/event-stream");

    private static async Task<Results<Ok<ChatResponse>, Accepted<ChatResponse>, RunStreamResult, ProblemHttpResult>> ChatAsync(HttpContext http, ChatRequest body,
        AgentCatalogue agents, IConversationStore conversations, ITakeoverStore takeovers, RunEngine engine, RunOutcomes outcomes, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (Check(body) is { Count: > 0 } errors) return Problems.Invalid(errors);
        string? reference = body.Agent;
        if (body.ConversationId is { } conversationId)
        {
            if (await conversations.FindAsync(caller.TenantId, conversationId) is not { } conversation) return Problems.NotFound("The conversation");
            if (conversation.HandledBy is not null) return await KeepAsync(http, caller, takeovers, conversationId, body, time);
            reference ??= conversation.Agent;
        }
        if (reference is null) return Problems.Invalid("agent", "is required: this conversation has no agent yet.");
        if (await agents.FindAsync(caller.TenantId, reference, cancellationToken) is not { } agent)
            return Problems.Of(404, ErrorCodes.AgentNotFound, $"Agent '{reference}' was not found.");
        if (agent.Instructions.Check(body.Variables) is { Count: > 0 } wrong)
            return Problems.Invalid(new Dictionary<string, string[]> { ["variables"] = [.. wrong] });

        bool stream = body.Stream ?? http.Request.Headers.Accept.ToString().Contains("text/event-stream", StringComparison.OrdinalIgnoreCase);
        string? key = http.Request.IdempotencyKey();
        StartedRun started = await engine.StartAsync(new RunRequest
        {
            Caller = caller,
            Agent = agent,
            Surface = RunInput.ChatSurface,
            ConversationId = body.ConversationId ?? Ids.New("conv", time),
            Input = new RunInput
            {
                Message = body.Message,
                MessageId = Ids.New("msg", time),
                Variables = body.Variables,
                Stream = stream,
                NewConversation = body.ConversationId is null,
            },
            RequestId = http.GetRequestId(),
            IdempotencyKey = key,
            RequestHash = key is null ? null : Hash(body),
            Metadata = body.Metadata is { Count: > 0 } metadata ? JsonSerializer.Serialize(metadata, ConversationJson.Default.IReadOnlyDictionaryStringString) : null,
        });
        if (stream) return new RunStreamResult(started.Run, started.Live, LiveCursor.FromStart, new RunEventWriter(forChat: true));
        // The client may leave: the run goes on all the same.
        RunOutcome outcome = started.Outcome ?? await outcomes.WaitAsync(started, cancellationToken, orRest: true)
            ?? throw new ApiException(503, ErrorCodes.Overloaded, $"The server is stopping. Run {started.Run.Id} goes on at its next start; read its events.") { RetryAfter = TimeSpan.FromSeconds(5) };
        if (outcome.Run.Error is { } error) return Problems.Of(error.Status, error.Code, $"{error.Message} (run {outcome.Run.Id})");
        // It waits for a person's consent to a call, or somebody has paused it.
        return outcome.Run.IsFinal ? TypedResults.Ok(Answer(outcome)) : TypedResults.Accepted($"/api/v1/runs/{outcome.Run.Id}", Answer(outcome));
    }

    /// <summary>A message for the person who handles the conversation.</summary>
    private static async Task<Results<Ok<ChatResponse>, Accepted<ChatResponse>, RunStreamResult, ProblemHttpResult>> KeepAsync(HttpContext http, Caller caller, ITakeoverStore takeovers, string conversationId, ChatRequest body, TimeProvider time)
    {
        DateTimeOffset now = time.GetUtcNow();
        var message = new PlainMessage(Ids.New("msg", now), "user", ChatMessage.Of(ChatRole.User, body.Message!).Json.ToArray(), null, http.Request.IdempotencyKey(), now);
        TakeoverOutcome outcome = await takeovers.AddAsync(caller.TenantId, conversationId, message,
            TakeoverEndpoints.Told(Subjects.ConversationMessage, caller.TenantId, conversationId, TakeoverEndpoints.NameOf(caller), now, messageId: message.Id));
        // Handed back or deleted in between: the client's next attempt goes the usual way.
        if (outcome is TakeoverOutcome.Nobody or TakeoverOutcome.NotFound) return Problems.Conflict("The conversation has just changed hands. Try again.", ErrorCodes.ConversationNotHandled);
        return TypedResults.Accepted($"/api/v1/conversations/{conversationId}/messages", new ChatResponse(null, conversationId, null, new UsageView(0, 0, 0, 0, false, 0m), null, "handled", null));
    }

    private static ChatResponse Answer(RunOutcome outcome)
    {
        RunRecord run = outcome.Run;
        ChatAnswer? message = outcome.Message is { } final ? new ChatAnswer(final.Id, "assistant", Encoding.UTF8.GetString(final.Text.Span)) : null;
        return new ChatResponse(run.Id, run.ConversationId, message, UsageView.Of(run), outcome.Message?.Model, RunStatusNames.Of(run.Status), run.Reason);
    }

    private static Dictionary<string, string[]> Check(ChatRequest body)
    {
        var errors = new Dictionary<string, string[]>();
        if (string.IsNullOrWhiteSpace(body.Message)) errors["message"] = ["is required."];
        else if (body.Message.Length > MaxMessageLength) errors["message"] = [$"may have {MaxMessageLength} characters."];
        if (body.Agent is null && body.ConversationId is null) errors["agent"] = ["is required."];
        if (body.ConversationId is not null && !Ids.IsValid(body.ConversationId, "conv")) errors["conversationId"] = ["is not the id of a conversation."];
        if (body.Metadata is { } metadata && (metadata.Count > 16 || metadata.Any(m => m.Key.Length > 64 || m.Value is null || m.Value.Length > 512)))
            errors["metadata"] = ["may have 16 entries, with names of at most 64 and values of at most 512 characters."];
        return errors;
    }

    // Whether the answer is streamed does not make it another request.
    private static string Hash(ChatRequest body) =>
        Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(body with { Stream = null }, ConversationJson.Default.ChatRequest)));
}
