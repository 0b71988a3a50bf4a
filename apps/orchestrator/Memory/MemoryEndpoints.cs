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

namespace MultiAgent.Orchestrator.Memory;

/// <summary>Body of POST and PATCH.</summary>
internal sealed record FactRequest
{
    /// <summary>POST only: the user that it is about. Give this or <see cref="Agent"/>.</summary>
    public string? User { get; init; }
    /// <summary>POST only: slug of the agent that it is for.</summary>
    public string? Agent { get; init; }
    /// <summary>3 to 1 000 characters.</summary>
    public string? Text { get; init; }
}

/// <summary>A fact as the API shows it.</summary>
internal sealed record FactView
{
    public required string Id { get; init; }
    /// <summary>The user that it is about; null when it is an agent's own.</summary>
    public string? User { get; init; }
    /// <summary>The agent that it is for; null when it is about a user.</summary>
    public string? Agent { get; init; }
    public required string Text { get; init; }
    /// <summary>The agent that wrote it down; null when a person did.</summary>
    public string? WrittenBy { get; init; }
    public string? RunId { get; init; }
    public string? ConversationId { get; init; }
    /// <summary>The user or API key that wrote it down, or in whose run it was.</summary>
    public string? Author { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>When it was last written down or found; it fades from then on.</summary>
    public required DateTimeOffset UsedAt { get; init; }
    public required int Uses { get; init; }

    public static FactView Of(Fact fact) => new()
    {
        Id = fact.Id, User = MemorySubject.UserOf(fact.Subject), Agent = MemorySubject.AgentOf(fact.Subject), Text = fact.Text, WrittenBy = fact.Agent, RunId = fact.RunId, ConversationId = fact.ConversationId,
        Author = fact.Author, CreatedAt = fact.CreatedAt, UsedAt = fact.UsedAt, Uses = fact.Uses,
    };
}

/// <summary>How many facts were forgotten.</summary>
internal sealed record Forgotten(int Count);

/// <summary>/api/v1/memories.</summary>
internal static class MemoryEndpoints
{
    private const int MaxName = 200;

    public static void MapMemories(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/memories").WithTags("Memory").RequireScope(Scopes.RunsRead);
        group.MapGet("", ListAsync).WithSummary("What agents keep in mind, newest first; of a user or an agent; with q= the best matches");
        group.MapGet("/{id}", GetAsync).WithSummary("Get a fact");
        group.MapPost("", CreateAsync).RequireScope(Scopes.RunsWrite).Idempotent().WithSummary("Write a fact down about a user or for an agent");
        group.MapPatch("/{id}", ChangeAsync).RequireScope(Scopes.RunsWrite).WithSummary("Correct a fact");
        group.MapDelete("/{id}", DeleteAsync).RequireScope(Scopes.RunsWrite).WithSummary("Forget a fact");
        group.MapDelete("", DeleteAllAsync).RequireScope(Scopes.RunsWrite).WithSummary("Forget everything about a user, or of an agent");
    }

    private static async Task<Results<Ok<Page<FactView>>, ProblemHttpResult>> ListAsync(HttpContext http, IMemoryStore store, TimeProvider time, string? user, string? agent, string? q, int? limit, string? cursor)
    {
        string tenantId = http.GetCaller().TenantId;
        PageRequest page = PageRequest.Of(limit, cursor);
        if (user is not null && agent is not null) return Problems.Invalid("user", "and 'agent' exclude each other.");
        if (q is null) return TypedResults.Ok(Page<FactView>.From([.. (await store.ListAsync(tenantId, Subject(user, agent), page.After, page.Limit + 1)).Select(FactView.Of)], page.Limit, f => f.Id));
        if (Subject(user, agent) is not { } subject) return Problems.Invalid("q", "goes with 'user' or 'agent'.");
        return TypedResults.Ok(new Page<FactView>([.. MemorySearch.Rank(await store.OfAsync(tenantId, [subject]), q, page.Limit, time.GetUtcNow()).Select(FactView.Of)], null));
    }

    private static async Task<Results<Ok<FactView>, ProblemHttpResult>> GetAsync(HttpContext http, IMemoryStore store, string id) =>
        await store.FindAsync(http.GetCaller().TenantId, id) is { } fact ? TypedResults.Ok(FactView.Of(fact)) : Missing();

    private static async Task<Results<Created<FactView>, ProblemHttpResult>> CreateAsync(HttpContext http, IMemoryStore store, TimeProvider time, FactRequest body)
    {
        Caller caller = http.GetCaller();
        var errors = new Dictionary<string, string[]>();
        if (body.User is null == body.Agent is null) errors["user"] = ["give either 'user' or 'agent'."];
        if (body.User is { Length: 0 or > MaxName } || body.Agent is { Length: 0 or > MaxName }) errors["user"] = [$"and 'agent' may have 1 to {MaxName} characters."];
        if (!IsText(body.Text)) errors["text"] = [TextRule];
        if (errors.Count > 0) return Problems.Invalid(errors);
        DateTimeOffset now = time.GetUtcNow();
        Fact kept = await store.RememberAsync(caller.TenantId, new Fact
        {
            Id = Ids.New("mem", now), Subject = Subject(body.User, body.Agent)!, Text = body.Text!.Trim(), Author = caller.UserId ?? caller.ApiKeyId, CreatedAt = now, UsedAt = now,
        }, RememberTool.MaxFacts);
        return TypedResults.Created($"/api/v1/memories/{kept.Id}", FactView.Of(kept));
    }

    private static async Task<Results<Ok<FactView>, ProblemHttpResult>> ChangeAsync(HttpContext http, IMemoryStore store, TimeProvider time, string id, FactRequest body)
    {
        string tenantId = http.GetCaller().TenantId;
        if (body.User is not null || body.Agent is not null) return Problems.Invalid("user", "and 'agent' cannot be changed.");
        if (!IsText(body.Text)) return Problems.Invalid("text", TextRule);
        if (await store.FindAsync(tenantId, id) is not { } fact) return Missing();
        Fact changed = fact with { Text = body.Text!.Trim(), UsedAt = time.GetUtcNow() };
        return await store.ChangeAsync(tenantId, changed) switch
        {
            true => TypedResults.Ok(FactView.Of(changed)),
            false => Missing(),
            null => Problems.Conflict("This is known already.", ErrorCodes.Conflict),
        };
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, IMemoryStore store, string id) =>
        await store.ForgetAsync(http.GetCaller().TenantId, id) ? TypedResults.NoContent() : Missing();

    // Without a subject it would be everything that the tenant has: too easily done by mistake.
    private static async Task<Results<Ok<Forgotten>, ProblemHttpResult>> DeleteAllAsync(HttpContext http, IMemoryStore store, string? user, string? agent) =>
        user is null == agent is null ? Problems.Invalid("user", "give either 'user' or 'agent'.") : TypedResults.Ok(new Forgotten(await store.ForgetAllAsync(http.GetCaller().TenantId, Subject(user, agent)!)));

    private static string TextRule => $"is required: 3 to {RememberTool.MaxText} characters.";

    private static bool IsText(string? text) => text?.Trim().Length is >= 3 and <= RememberTool.MaxText;

    private static string? Subject(string? user, string? agent) => user is not null ? MemorySubject.OfUser(user) : agent is not null ? MemorySubject.OfAgent(agent) : null;

    private static ProblemHttpResult Missing() => Problems.NotFound("The fact");
}
