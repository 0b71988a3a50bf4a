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

namespace MultiAgent.Orchestrator.Agents;

/// <summary>/api/v1/agents. The ETag of an agent is its latest version number.</summary>
internal static class AgentEndpoints
{
    public static void MapAgents(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/agents").WithTags("Agents").RequireScope(Scopes.AgentsRead);
        group.MapGet("", ListAsync).WithSummary("List agents");
        group.MapPost("", CreateAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Create an agent; both labels point to version 1");
        group.MapGet("/{slug}", GetAsync).WithSummary("Get an agent in its latest version");
        group.MapPut("/{slug}", UpdateAsync).RequireScope(Scopes.AgentsWrite)
            .WithSummary("Make a new version; moves 'staging' to it, and 'production' too unless promote=false");
        group.MapDelete("/{slug}", DeleteAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Delete an agent; its versions stay for the runs that used them");
        group.MapGet("/{slug}/versions", VersionsAsync).WithSummary("List the versions, newest first");
        group.MapGet("/{slug}/versions/{number:int}", GetVersionAsync).WithSummary("Get one version");
        group.MapPut("/{slug}/labels/{label}", MoveLabelAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Point a label to a version: promotion or rollback");
    }

    private static async Task<Ok<Page<AgentView>>> ListAsync(HttpContext http, AgentQueries queries, int? limit, string? cursor, CancellationToken cancellationToken) =>
        TypedResults.Ok(await queries.ListAsync(http.GetCaller().TenantId, PageRequest.Of(limit, cursor), cancellationToken));

    private static async Task<Results<Created<AgentView>, ProblemHttpResult>> CreateAsync(HttpContext http, AgentSpec body,
        AgentValidator validator, AgentCommands commands, AgentQueries queries, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (await validator.CheckAsync(caller.TenantId, body, cancellationToken) is { Count: > 0 } errors) return Problems.Invalid(errors);
        if (await commands.CreateAsync(caller.TenantId, body, caller.UserId ?? caller.ApiKeyId, cancellationToken) == AgentOutcome.SlugTaken)
            return Problems.Conflict($"There is an agent with the slug '{body.Slug}' already.");
        AgentView view = (await queries.FindAsync(caller.TenantId, body.Slug!, null, cancellationToken))!;
        SetETag(http, view);
        return TypedResults.Created($"/api/v1/agents/{view.Slug}", view);
    }

    private static async Task<Results<Ok<AgentView>, ProblemHttpResult>> GetAsync(HttpContext http, string slug, AgentQueries queries, CancellationToken cancellationToken)
    {
        AgentView? view = await queries.FindAsync(http.GetCaller().TenantId, slug, null, cancellationToken);
        if (view is null) return Missing(slug);
        SetETag(http, view);
        return TypedResults.Ok(view);
    }

    private static async Task<Results<Ok<AgentView>, ProblemHttpResult>> UpdateAsync(HttpContext http, string slug, AgentSpec body, bool? promote,
        AgentValidator validator, AgentCommands commands, AgentQueries queries, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (body.Slug is not null && body.Slug != slug) return Problems.Invalid("slug", "cannot be changed.");
        AgentSpec spec = body with { Slug = slug };
        if (!TryReadIfMatch(http, out int? expected)) return Problems.Of(412, ErrorCodes.PreconditionFailed, "'If-Match' is not the ETag of this agent.");
        if (await validator.CheckAsync(caller.TenantId, spec, cancellationToken) is { Count: > 0 } errors) return Problems.Invalid(errors);
        switch (await commands.UpdateAsync(caller.TenantId, slug, spec, promote ?? body.Promote ?? true, expected, caller.UserId ?? caller.ApiKeyId, cancellationToken))
        {
            case AgentOutcome.NotFound:
                return Missing(slug);
            case AgentOutcome.VersionChanged:
                return expected is null
                    ? Problems.Conflict("The agent was changed at the same moment. Try again.")
                    : Problems.Of(412, ErrorCodes.PreconditionFailed, "The agent has a newer version than 'If-Match' names. Read it again and repeat your change.");
        }
        AgentView view = (await queries.FindAsync(caller.TenantId, slug, null, cancellationToken))!;
        SetETag(http, view);
        return TypedResults.Ok(view);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, string slug, AgentCommands commands, CancellationToken cancellationToken) =>
        await commands.DeleteAsync(http.GetCaller().TenantId, slug, cancellationToken) == AgentOutcome.Done ? TypedResults.NoContent() : Missing(slug);

    private static async Task<Results<Ok<Page<AgentVersionSummary>>, ProblemHttpResult>> VersionsAsync(HttpContext http, string slug, AgentQueries queries,
        int? limit, string? cursor, CancellationToken cancellationToken) =>
        await queries.VersionsAsync(http.GetCaller().TenantId, slug, PageRequest.Of(limit, cursor), cancellationToken) is { } page ? TypedResults.Ok(page) : Missing(slug);

    private static async Task<Results<Ok<AgentView>, ProblemHttpResult>> GetVersionAsync(HttpContext http, string slug, int number, AgentQueries queries, CancellationToken cancellationToken) =>
        await queries.FindAsync(http.GetCaller().TenantId, slug, number, cancellationToken) is { } view ? TypedResults.Ok(view) : Problems.NotFound($"Version {number} of agent '{slug}'");

    private static async Task<Results<Ok<AgentView>, ProblemHttpResult>> MoveLabelAsync(HttpContext http, string slug, string label, LabelRequest body,
        AgentCommands commands, AgentQueries queries, CancellationToken cancellationToken)
    {
        string tenantId = http.GetCaller().TenantId;
        if (!AgentCommands.Labels.Contains(label)) return Problems.Invalid("label", "must be 'production' or 'staging'.");
        switch (await commands.MoveLabelAsync(tenantId, slug, label, body.Version, cancellationToken))
        {
            case AgentOutcome.NotFound:
                return Missing(slug);
            case AgentOutcome.UnknownVersion:
                return Problems.Invalid("version", $"{body.Version} is not a version of this agent.");
        }
        return TypedResults.Ok((await queries.FindAsync(tenantId, slug, null, cancellationToken))!);
    }

    private static ProblemHttpResult Missing(string slug) => Problems.Of(404, ErrorCodes.AgentNotFound, $"Agent '{slug}' was not found.");

    private static void SetETag(HttpContext http, AgentView view) => http.Response.Headers.ETag = $"\"{view.LatestVersion}\"";

    private static bool TryReadIfMatch(HttpContext http, out int? version)
    {
        version = null;
        string? header = http.Request.Headers.IfMatch;
        if (string.IsNullOrEmpty(header) || header == "*") return true;
        if (!int.TryParse(header.Trim('"'), NumberStyles.None, CultureInfo.InvariantCulture, out int number)) return false;
        version = number;
        return true;
    }
}
