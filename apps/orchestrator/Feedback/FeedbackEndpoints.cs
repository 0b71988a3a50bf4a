using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Conversations;

namespace MultiAgent.Orchestrator.Feedback;

/// <summary>Body of POST /api/v1/messages/{id}/feedback.</summary>
/// <param name="Rating">Thumbs: -1 or 1.</param>
/// <param name="Score">1 to 5.</param>
/// <param name="Comment">At most 4 000 characters.</param>
internal sealed record FeedbackRequest(int? Rating, int? Score, string? Comment);

/// <summary>Users' judgements of messages.</summary>
internal static class FeedbackEndpoints
{
    private const int MaxComment = 4_000;

    public static void MapFeedback(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1").WithTags("Feedback").RequireScope(Scopes.RunsRead);
        group.MapPost("/messages/{id}/feedback", RecordAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Judge an agent's message; a second judgement replaces the first");
        group.MapGet("/feedback", ListAsync).WithSummary("List feedback, newest first; filter by agent, rating, conversation and message");
        group.MapGet("/conversations/{id}/feedback", ListOfConversationAsync).WithSummary("List the feedback of a conversation");
    }

    private static async Task<Results<Ok<FeedbackView>, ProblemHttpResult>> RecordAsync(HttpContext http, IFeedbackStore store, string id, FeedbackRequest body)
    {
        var errors = new Dictionary<string, string[]>();
        if (body.Rating is null && body.Score is null) errors["rating"] = ["or 'score' is required."];
        if (body.Rating is not (null or -1 or 1)) errors["rating"] = ["must be -1 or 1."];
        if (body.Score is < 1 or > 5) errors["score"] = ["must be between 1 and 5."];
        if (body.Comment?.Length > MaxComment) errors["comment"] = [$"may have {MaxComment} characters."];
        if (errors.Count > 0) return Problems.Invalid(errors);
        Caller caller = http.GetCaller();
        string author = caller.UserId ?? caller.ApiKeyId ?? caller.TenantId;
        return await store.RecordAsync(caller.TenantId, id, author, caller.UserId, body) is { } feedback
            ? TypedResults.Ok(feedback)
            : Problems.NotFound("The agent's message");
    }

    private static async Task<Ok<Page<FeedbackView>>> ListAsync(HttpContext http, IFeedbackStore store, string? agent, int? rating, string? conversation, string? message, int? limit, string? cursor) =>
        TypedResults.Ok(await ReadAsync(http, store, new FeedbackFilter(agent, rating, conversation, message), limit, cursor));

    private static async Task<Results<Ok<Page<FeedbackView>>, ProblemHttpResult>> ListOfConversationAsync(HttpContext http, IFeedbackStore store, IConversationStore conversations, string id, int? limit, string? cursor) =>
        await conversations.FindAsync(http.GetCaller().TenantId, id) is null
            ? Problems.NotFound("The conversation")
            : TypedResults.Ok(await ReadAsync(http, store, new FeedbackFilter(null, null, id, null), limit, cursor));

    private static async ValueTask<Page<FeedbackView>> ReadAsync(HttpContext http, IFeedbackStore store, FeedbackFilter filter, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        return Page<FeedbackView>.From(await store.ListAsync(http.GetCaller().TenantId, filter, page.After, page.Limit + 1), page.Limit, f => f.Id);
    }
}
