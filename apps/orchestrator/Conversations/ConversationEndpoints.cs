using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Api;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Idempotency;
using MultiAgent.Hosting.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Conversations;

/// <summary>Body of POST /api/v1/conversations.</summary>
internal sealed record ConversationRequest(string? Agent, string? Title, IReadOnlyDictionary<string, string>? Metadata);

/// <summary>Body of PATCH /api/v1/conversations/{id}.</summary>
internal sealed record ConversationPatch(string? Title);

/// <summary>A conversation as the API shows it.</summary>
internal sealed record ConversationView(string Id, string? Agent, string? Title, string? UserId, IReadOnlyDictionary<string, string>? Metadata, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt,
    HandlerView? HandledBy)
{
    /// <summary>Stands for its beginning when an agent is asked; not in lists.</summary>
    public SummaryView? Summary { get; init; }
}

/// <summary>The person who has taken a conversation over.</summary>
internal sealed record HandlerView(string Id, DateTimeOffset Since, string? Reason);

/// <summary>A message as the API shows it.</summary>
/// <param name="Id">With the prefix <c>msg</c>.</param>
/// <param name="RunId">The run that brought it; null when none did.</param>
/// <param name="Role"><c>user</c>, <c>assistant</c> or <c>tool</c>.</param>
/// <param name="Content">Its text.</param>
/// <param name="ToolCalls">In the OpenAI dialect.</param>
/// <param name="ToolCallId">The call that it answers.</param>
/// <param name="CreatedAt">When.</param>
/// <param name="Author">The person who wrote it in the agent's place.</param>
internal sealed record MessageView(string Id, string? RunId, string Role, string Content, JsonElement? ToolCalls, string? ToolCallId, DateTimeOffset CreatedAt, string? Author);

/// <summary>/api/v1/conversations.</summary>
internal static class ConversationEndpoints
{
    private const int MaxTitle = 200;

    public static void MapConversations(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/conversations").WithTags("Conversations").RequireScope(Scopes.RunsRead);
        group.MapGet("", ListAsync).WithSummary("List conversations, newest first; handled=true for those that a person has taken over");
        group.MapPost("", CreateAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Make an empty conversation");
        group.MapGet("/{id}", GetAsync).WithSummary("Get a conversation");
        group.MapPatch("/{id}", PatchAsync).RequireScope(Scopes.RunsWrite).WithSummary("Change the title");
        group.MapDelete("/{id}", DeleteAsync).RequireScope(Scopes.RunsWrite).WithSummary("Delete a conversation with its messages; its active runs are cancelled");
        group.MapGet("/{id}/messages", MessagesAsync).WithSummary("List messages in order; with tools=true also the calls and results of tools");
    }

    private static async Task<Ok<Page<ConversationView>>> ListAsync(HttpContext http, IConversationStore store, string? agent, bool? handled, int? limit, string? cursor)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        IReadOnlyList<ConversationRecord> list = await store.ListAsync(http.GetCaller().TenantId, agent, handled, page.After, page.Limit + 1);
        return TypedResults.Ok(Page<ConversationView>.From([.. list.Select(View)], page.Limit, c => c.Id));
    }

    private static async Task<Results<Created<ConversationView>, ProblemHttpResult>> CreateAsync(HttpContext http, ConversationRequest body,
        IConversationStore store, AgentCatalogue agents, TimeProvider time, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        var errors = new Dictionary<string, string[]>();
        if (body.Title?.Length > MaxTitle) errors["title"] = [$"may have {MaxTitle} characters."];
        if (body.Metadata is { } metadata && (metadata.Count > 16 || metadata.Any(m => m.Key.Length > 64 || m.Value is null || m.Value.Length > 512)))
            errors["metadata"] = ["may have 16 entries, with names of at most 64 and values of at most 512 characters."];
        if (body.Agent is not null && await agents.FindAsync(caller.TenantId, body.Agent, cancellationToken) is null) errors["agent"] = [$"'{body.Agent}' was not found."];
        if (errors.Count > 0) return Problems.Invalid(errors);
        DateTimeOffset now = time.GetUtcNow();
        var conversation = new ConversationRecord
        {
            Id = Ids.New("conv", now),
            Agent = body.Agent,
            Title = body.Title,
            UserId = caller.UserId,
            Metadata = body.Metadata is { Count: > 0 } ? JsonSerializer.Serialize(body.Metadata, ConversationJson.Default.IReadOnlyDictionaryStringString) : null,
            CreatedAt = now,
            UpdatedAt = now,
        };
        await store.CreateAsync(caller.TenantId, conversation, caller.ApiKeyId);
        return TypedResults.Created($"/api/v1/conversations/{conversation.Id}", View(conversation));
    }

    private static async Task<Results<Ok<ConversationView>, ProblemHttpResult>> GetAsync(HttpContext http, IConversationStore store, ISummaryStore summaries, string id) =>
        await store.FindAsync(http.GetCaller().TenantId, id) is not { } conversation ? Missing()
            : TypedResults.Ok(View(conversation) with { Summary = await summaries.FindAsync(http.GetCaller().TenantId, id) is { } summary ? SummaryView.Of(summary) : null });

    private static async Task<Results<Ok<ConversationView>, ProblemHttpResult>> PatchAsync(HttpContext http, IConversationStore store, TimeProvider time, string id, ConversationPatch body)
    {
        string tenantId = http.GetCaller().TenantId;
        if (string.IsNullOrWhiteSpace(body.Title) || body.Title.Length > MaxTitle) return Problems.Invalid("title", $"is required and may have {MaxTitle} characters.");
        if (!await store.RenameAsync(tenantId, id, body.Title, time.GetUtcNow())) return Missing();
        return await store.FindAsync(tenantId, id) is { } conversation ? TypedResults.Ok(View(conversation)) : Missing();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, IConversationStore store, RunEngine engine, TimeProvider time, string id)
    {
        string tenantId = http.GetCaller().TenantId;
        if (await store.DeleteAsync(tenantId, id, time.GetUtcNow()) is not { } active) return Missing();
        foreach (string run in active) await engine.CancelAsync(tenantId, run, StopCause.Requested);
        return TypedResults.NoContent();
    }

    private static async Task<Results<Ok<Page<MessageView>>, ProblemHttpResult>> MessagesAsync(HttpContext http, IConversationStore store, string id, bool? tools, int? limit, string? cursor)
    {
        string tenantId = http.GetCaller().TenantId;
        PageRequest page = PageRequest.Of(limit, cursor);
        if (await store.FindAsync(tenantId, id) is null) return Missing();
        long after = page.After is null ? 0 : long.TryParse(page.After, NumberStyles.None, CultureInfo.InvariantCulture, out long position) ? position : long.MaxValue;
        IReadOnlyList<MessageRecord> rows = await store.MessagesAsync(tenantId, id, tools ?? false, after, page.Limit + 1);
        Page<MessageRecord> records = Page<MessageRecord>.From(rows, page.Limit, m => m.Position.ToString(CultureInfo.InvariantCulture));
        return TypedResults.Ok(new Page<MessageView>([.. records.Data.Select(View)], records.NextCursor));
    }

    private static ProblemHttpResult Missing() => Problems.NotFound("The conversation");

    public static ConversationView View(ConversationRecord c) => new(c.Id, c.Agent, c.Title, c.UserId,
        c.Metadata is null ? null : JsonSerializer.Deserialize(c.Metadata, ConversationJson.Default.IReadOnlyDictionaryStringString), c.CreatedAt, c.UpdatedAt, c.HandledBy is null ? null : new HandlerView(c.HandledBy, c.HandledSince!.Value, c.HandledReason));

    private static MessageView View(MessageRecord message)
    {
        using var document = JsonDocument.Parse(message.Wire);
        JsonElement root = document.RootElement;
        return new MessageView(message.Id, message.RunId.Length == 0 ? null : message.RunId, message.Role,
            root.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.String ? content.GetString()! : "",
            root.TryGetProperty("tool_calls", out JsonElement calls) ? calls.Clone() : null,
            root.TryGetProperty("tool_call_id", out JsonElement callId) ? callId.GetString() : null,
            message.CreatedAt, message.Author);
    }
}
