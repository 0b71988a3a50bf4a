using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Models;
using MultiAgent.Models.Dispatch;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Conversations.Takeover;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Conversations.Compaction;

/// <summary>Body of POST /api/v1/conversations/{id}/compact.</summary>
internal sealed record CompactRequest
{
    /// <summary>The agent whose settings count; the conversation's by default.</summary>
    public string? Agent { get; init; }
    /// <summary>The newest messages that stay as they are, 1 to 200; the agent's setting by default.</summary>
    public int? KeepMessages { get; init; }
}

/// <summary>What came of it.</summary>
/// <param name="Summary">The new summary.</param>
/// <param name="Messages">How many messages it stands for now that were not summarised before.</param>
/// <param name="TokensBefore">Of the conversation as a model was sent it.</param>
/// <param name="TokensAfter">As it is sent from now on.</param>
/// <param name="Usage">What the summary used.</param>
internal sealed record CompactResponse(SummaryView Summary, int Messages, long TokensBefore, long TokensAfter, UsageView Usage);

/// <summary>A summary as the API shows it.</summary>
internal sealed record SummaryView(string Text, string? RunId, string Model, DateTimeOffset CreatedAt)
{
    public static SummaryView Of(ConversationSummary summary) => new(summary.Text, summary.RunId.Length == 0 ? null : summary.RunId, summary.Model, summary.CreatedAt);
}

/// <summary>POST /api/v1/conversations/{id}/compact.</summary>
internal static class CompactEndpoint
{
    public static void MapCompaction(this IEndpointRouteBuilder routes) => routes.MapPost("/api/v1/conversations/{id}/compact", CompactAsync).WithTags("Conversations").RequireScope(Scopes.RunsWrite).Idempotent().DisableRequestTimeout()
        .WithSummary("Have a model summarise the beginning of a conversation now; its messages stay, and agents are sent the summary in their place");

    private static async Task<Results<Ok<CompactResponse>, ProblemHttpResult>> CompactAsync(HttpContext http, IConversationStore conversations, ITakeoverStore takeovers, IRunStore runs, ISummaryStore summaries, AgentCatalogue agents,
        Summariser summariser, IModelFacts models, TimeProvider time, string id, CompactRequest? body, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (await conversations.FindAsync(caller.TenantId, id) is not { } conversation) return Problems.NotFound("The conversation");
        if (body?.KeepMessages is < 1 or > 200) return Problems.Invalid("keepMessages", "must be between 1 and 200.");
        if ((body?.Agent ?? conversation.Agent) is not { } slug || await agents.FindAsync(caller.TenantId, slug, cancellationToken) is not { } agent)
            return Problems.Invalid("agent", body?.Agent is null ? "is required: the conversation has no agent, or it is gone." : $"'{body.Agent}' was not found.");
        // A run under way has read the conversation, and would be compared with another when it is taken up again.
        if ((await takeovers.ActiveRunsAsync(caller.TenantId, id)).Count > 0) return Problems.Conflict("A run of this conversation is active. Wait for its end, or cancel it.", ErrorCodes.RunActive);
        History history = await RunExecution.StoredHistoryAsync(runs, caller.TenantId, id, "none");
        AgentContext spec = agent.Spec.Context ?? new AgentContext();
        CompactionPlan plan = CompactionPlan.Of(history.Messages, body?.KeepMessages ?? spec.KeepMessages ?? AgentContext.DefaultKeepMessages);
        if (plan.Replaced == 0) return Problems.Conflict("There is nothing to summarise beyond the messages that stay.", ErrorCodes.NothingToCompact);
        WrittenSummary written;
        try
        {
            written = await summariser.WriteAsync(spec.ModelOr(agent.Model), agent.Spec.Fallbacks ?? [], history.Summary, plan.Told, spec.SummaryTokens ?? AgentContext.DefaultSummaryTokens,
                new UsageContext { TenantId = caller.TenantId, RequestId = http.GetRequestId(), ApiKeyId = caller.ApiKeyId, UserId = caller.UserId, Agent = agent.Slug }, cancellationToken);
        }
        catch (ModelException e)
        {
            return Problems.Of(e.Status, e.Code, e.Message);
        }
        DateTimeOffset now = time.GetUtcNow();
        var summary = new ConversationSummary { Id = Ids.New("sum", now), ConversationId = id, RunId = "", Through = plan.Through, Text = written.Text, Model = written.Model, CreatedAt = now };
        if (!await summaries.AddAsync(caller.TenantId, summary)) return Problems.NotFound("The conversation");
        long before = Count(history.Summary, history.Messages), after = Count(written.Text, [.. history.Messages.Where(m => m.Position > plan.Through)]);
        return TypedResults.Ok(new CompactResponse(SummaryView.Of(summary), plan.Told.Count, before, after,
            new UsageView(written.Usage.InputTokens, written.Usage.CachedInputTokens, written.Usage.OutputTokens, written.Usage.ReasoningTokens, written.Usage.Estimated, written.CostUsd)));

        long Count(string? text, IReadOnlyList<ChatMessage> messages) =>
            messages.Sum(m => (long)models.CountTokens(m.Json.Span, agent.Model)) + (text is null ? 0 : models.CountTokens(ConversationSummary.MessageOf(text).Json.Span, agent.Model));
    }
}
