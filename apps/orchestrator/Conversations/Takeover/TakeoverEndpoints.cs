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
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Conversations.Takeover;

/// <summary>Body of POST /api/v1/conversations/{id}/takeover.</summary>
internal sealed record TakeoverRequest
{
    /// <summary>At most 500 characters.</summary>
    public string? Reason { get; init; }
}

/// <summary>Body of POST /api/v1/conversations/{id}/handback.</summary>
internal sealed record HandBackRequest
{
    /// <summary>Takes it from another person too; needs the role admin.</summary>
    public bool Force { get; init; }
}

/// <summary>Body of POST /api/v1/conversations/{id}/messages.</summary>
internal sealed record PersonMessage
{
    public string? Content { get; init; }
}

/// <summary>A person in the place of an agent: /api/v1/conversations/{id}/takeover, /handback and /messages.</summary>
internal static class TakeoverEndpoints
{
    public const int MaxContent = 100_000;

    private const int MaxReason = 500;

    public static void MapTakeover(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/conversations/{id}").WithTags("Conversations").RequireScope(Scopes.RunsWrite);
        group.MapPost("/takeover", TakeAsync).WithSummary("Take a conversation over from its agent: its active runs are cancelled, and messages wait for you");
        group.MapPost("/handback", HandBackAsync).WithSummary("Hand it back to its agent, which sees what was said meanwhile");
        group.MapPost("/messages", WriteAsync).Idempotent().WithSummary("Write in the agent's place, in a conversation that you have taken over");
    }

    /// <summary>The user, or the API key, as conversations name a person.</summary>
    public static string NameOf(Caller caller) => caller.UserId ?? caller.ApiKeyId ?? caller.TenantId;

    /// <summary>The event that tells of it.</summary>
    public static EventEnvelope Told(string subject, string tenantId, string conversationId, string by, DateTimeOffset now, string? reason = null, string? messageId = null) => new()
    {
        Id = Ids.New("evt", now),
        Subject = subject,
        Source = OrchestratorModule.ServiceName,
        TenantId = tenantId,
        OrderingKey = conversationId,
        Time = now,
        Data = JsonSerializer.SerializeToUtf8Bytes(new ConversationHandled { TenantId = tenantId, ConversationId = conversationId, By = by, Reason = reason, MessageId = messageId, At = now }, EventJson.Default.ConversationHandled),
    };

    private static async Task<Results<Ok<ConversationView>, ProblemHttpResult>> TakeAsync(HttpContext http, ITakeoverStore takeovers, IConversationStore conversations, RunEngine engine, TimeProvider time, string id, TakeoverRequest? body)
    {
        Caller caller = http.GetCaller();
        if (body?.Reason?.Length > MaxReason) return Problems.Invalid("reason", $"may have {MaxReason} characters.");
        DateTimeOffset now = time.GetUtcNow();
        string by = NameOf(caller);
        TakeoverOutcome outcome = await takeovers.TakeAsync(caller.TenantId, id, by, body?.Reason, now, Told(Subjects.ConversationTakenOver, caller.TenantId, id, by, now, body?.Reason));
        if (Problem(outcome) is { } problem) return problem;
        // From here on none is accepted; the newest first, so that the end of one does not begin the next.
        foreach (string run in await takeovers.ActiveRunsAsync(caller.TenantId, id)) await engine.CancelAsync(caller.TenantId, run, StopCause.Superseded);
        return await ViewAsync(conversations, caller, id);
    }

    private static async Task<Results<Ok<ConversationView>, ProblemHttpResult>> HandBackAsync(HttpContext http, ITakeoverStore takeovers, IConversationStore conversations, TimeProvider time, string id, HandBackRequest? body)
    {
        Caller caller = http.GetCaller();
        if (body?.Force == true && !caller.Has(ScopeNames.Of(Role.Admin))) return Problems.Of(403, ErrorCodes.MissingRole, "To take it from another person needs the role admin.");
        DateTimeOffset now = time.GetUtcNow();
        string by = NameOf(caller);
        TakeoverOutcome outcome = await takeovers.HandBackAsync(caller.TenantId, id, by, body?.Force ?? false, Told(Subjects.ConversationHandedBack, caller.TenantId, id, by, now));
        return Problem(outcome) is { } problem ? problem : await ViewAsync(conversations, caller, id);
    }

    private static async Task<Results<Created<MessageView>, ProblemHttpResult>> WriteAsync(HttpContext http, ITakeoverStore takeovers, TimeProvider time, string id, PersonMessage body)
    {
        Caller caller = http.GetCaller();
        if (string.IsNullOrWhiteSpace(body.Content) || body.Content.Length > MaxContent) return Problems.Invalid("content", $"is required and may have {MaxContent} characters.");
        DateTimeOffset now = time.GetUtcNow();
        string by = NameOf(caller);
        var message = new PlainMessage(Ids.New("msg", now), "assistant", ChatMessage.Of(ChatRole.Assistant, body.Content).Json.ToArray(), by, null, now);
        TakeoverOutcome outcome = await takeovers.AddAsync(caller.TenantId, id, message, Told(Subjects.ConversationMessage, caller.TenantId, id, by, now, messageId: message.Id));
        return Problem(outcome) is { } problem ? problem
            : TypedResults.Created($"/api/v1/conversations/{id}/messages", new MessageView(message.Id, null, message.Role, body.Content, null, null, now, by));
    }

    private static ProblemHttpResult? Problem(TakeoverOutcome outcome) => outcome switch
    {
        TakeoverOutcome.NotFound => Problems.NotFound("The conversation"),
        TakeoverOutcome.Others => Problems.Conflict("Another person handles this conversation.", ErrorCodes.ConversationHandled),
        TakeoverOutcome.Nobody => Problems.Conflict("Take the conversation over first: its agent answers in it.", ErrorCodes.ConversationNotHandled),
        _ => null,
    };

    private static async Task<Results<Ok<ConversationView>, ProblemHttpResult>> ViewAsync(IConversationStore conversations, Caller caller, string id) =>
        await conversations.FindAsync(caller.TenantId, id) is { } conversation ? TypedResults.Ok(ConversationEndpoints.View(conversation)) : Problems.NotFound("The conversation");
}
