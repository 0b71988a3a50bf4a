using System.Globalization;
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
using MultiAgent.Orchestrator.Tools.Sources.Mcp;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>/api/v1/tool-sources. The ETag of a source is its revision.</summary>
internal static class ToolSourceEndpoints
{
    public static void MapToolSources(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/tool-sources").WithTags("Tools").RequireScope(Scopes.AgentsRead);
        group.MapGet("", ListAsync).WithSummary("List the tenant's sources of tools");
        group.MapPost("", CreateAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Add a source of tools: an OpenAPI document or an MCP server; it is read at once");
        group.MapGet("/{slug}", GetAsync).WithSummary("Get a source; credentials are not shown");
        group.MapPut("/{slug}", UpdateAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Replace a source and read it again; credentials that are left out stay");
        group.MapDelete("/{slug}", DeleteAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Remove a source and its credentials; agents that list its tools go on without them");
        group.MapPost("/{slug}/refresh", RefreshAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Read again what a source offers");
        group.MapGet("/{slug}/resources", McpViews.ResourcesAsync).WithSummary("List the resources of an MCP server");
        group.MapGet("/{slug}/resources/content", McpViews.ReadAsync).WithSummary("Read a resource of an MCP server by its URI");
        group.MapGet("/{slug}/prompts", McpViews.PromptsAsync).WithSummary("List the prompts of an MCP server");
        group.MapPost("/{slug}/prompts/{name}", McpViews.PromptAsync).WithSummary("Render a prompt of an MCP server with arguments");
    }

    private static async Task<Ok<Page<ToolSourceView>>> ListAsync(HttpContext http, ToolSourceQueries queries, int? limit, string? cursor, CancellationToken cancellationToken) =>
        TypedResults.Ok(await queries.ListAsync(http.GetCaller().TenantId, PageRequest.Of(limit, cursor), cancellationToken));

    private static async Task<Results<Created<ToolSourceView>, ProblemHttpResult>> CreateAsync(HttpContext http, ToolSourceSpec body, ToolSourceValidator validator, ToolSourceCommands commands, CancellationToken cancellationToken)
    {
        if (validator.Check(body, isNew: true) is { Count: > 0 } errors) return Problems.Invalid(errors);
        try
        {
            SourceChange change = await commands.CreateAsync(http.GetCaller().TenantId, body, cancellationToken);
            if (change.Entity is not { } entity) return Problem(change.Outcome, body.Slug!);
            return TypedResults.Created($"/api/v1/tool-sources/{entity.Slug}", Show(http, change));
        }
        catch (SourceReadException e)
        {
            return Unreadable(e);
        }
    }

    private static async Task<Results<Ok<ToolSourceView>, ProblemHttpResult>> GetAsync(HttpContext http, string slug, ToolSourceQueries queries, CancellationToken cancellationToken)
    {
        if (await queries.FindAsync(http.GetCaller().TenantId, slug, cancellationToken) is not { } found) return Missing(slug);
        http.Response.Headers.ETag = $"\"{found.Revision}\"";
        return TypedResults.Ok(found.View);
    }

    private static async Task<Results<Ok<ToolSourceView>, ProblemHttpResult>> UpdateAsync(HttpContext http, string slug, ToolSourceSpec body, ToolSourceValidator validator, ToolSourceCommands commands, ToolSourceQueries queries, CancellationToken cancellationToken)
    {
        string tenantId = http.GetCaller().TenantId;
        if (await queries.FindAsync(tenantId, slug, cancellationToken) is not { } found) return Missing(slug);
        if (body.Slug is not null && body.Slug != slug) return Problems.Invalid("slug", "cannot be changed.");
        if (body.Kind is not null && body.Kind != found.View.Kind) return Problems.Invalid("kind", "cannot be changed.");
        if (!TryReadIfMatch(http, out int? expected)) return Problems.Of(412, ErrorCodes.PreconditionFailed, "'If-Match' is not the ETag of this source.");
        ToolSourceSpec spec = body with { Slug = slug, Kind = found.View.Kind };
        if (validator.Check(spec, isNew: false) is { Count: > 0 } errors) return Problems.Invalid(errors);
        try
        {
            SourceChange change = await commands.UpdateAsync(tenantId, slug, spec, expected, cancellationToken);
            if (change.Outcome == SourceOutcome.Changed && expected is not null) return Problems.Of(412, ErrorCodes.PreconditionFailed, "The source has changed since. Read it again and repeat your change.");
            return change.Entity is null ? Problem(change.Outcome, slug) : TypedResults.Ok(Show(http, change));
        }
        catch (SourceReadException e)
        {
            return Unreadable(e);
        }
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, string slug, ToolSourceCommands commands, CancellationToken cancellationToken) =>
        await commands.DeleteAsync(http.GetCaller().TenantId, slug, cancellationToken) == SourceOutcome.Done ? TypedResults.NoContent() : Missing(slug);

    private static async Task<Results<Ok<ToolSourceView>, ProblemHttpResult>> RefreshAsync(HttpContext http, string slug, ToolSourceCommands commands, CancellationToken cancellationToken)
    {
        SourceChange change = await commands.RefreshAsync(http.GetCaller().TenantId, slug, cancellationToken);
        return change.Entity is null ? Problem(change.Outcome, slug) : TypedResults.Ok(Show(http, change));
    }

    private static ToolSourceView Show(HttpContext http, SourceChange change)
    {
        http.Response.Headers.ETag = $"\"{change.Entity!.Revision}\"";
        return ToolSourceQueries.View(change.Entity, change.Skipped);
    }

    private static ProblemHttpResult Problem(SourceOutcome outcome, string slug) => outcome switch
    {
        SourceOutcome.NotFound => Missing(slug),
        SourceOutcome.SlugTaken => Problems.Conflict($"There is a source with the slug '{slug}' already."),
        SourceOutcome.TooMany => Problems.Conflict($"A tenant may have {ToolSourceCommands.MaxSources} sources of tools."),
        SourceOutcome.NothingToRead => Problems.Conflict("The document of this source was sent, and is not kept: send a new one with PUT."),
        _ => Problems.Conflict("The source was changed at the same moment. Try again."),
    };

    private static ProblemHttpResult Unreadable(SourceReadException e) => Problems.Of(422, ErrorCodes.ToolSourceUnreadable, e.Message);

    private static ProblemHttpResult Missing(string slug) => Problems.NotFound($"The tool source '{slug}'");

    private static bool TryReadIfMatch(HttpContext http, out int? revision)
    {
        revision = null;
        string? header = http.Request.Headers.IfMatch;
        if (string.IsNullOrEmpty(header) || header == "*") return true;
        if (!int.TryParse(header.Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out int number)) return false;
        revision = number;
        return true;
    }
}
