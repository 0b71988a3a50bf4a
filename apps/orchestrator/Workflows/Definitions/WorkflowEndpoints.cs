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
using MultiAgent.Workflows;
using MultiAgent.Workflows.Graph;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>/api/v1/workflows. Bodies are YAML or JSON; the ETag of a workflow is its latest version number.</summary>
internal static class WorkflowEndpoints
{
    public static void MapWorkflows(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/workflows").WithTags("Workflows").RequireScope(Scopes.AgentsRead);
        group.MapGet("", ListAsync).WithSummary("List workflows");
        group.MapPost("", CreateAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Create a workflow from YAML or JSON; both labels point to version 1");
        group.MapGet("/schema", Schema).WithSummary("The JSON Schema of workflows");
        group.MapPost("/validate", ValidateAsync).WithSummary("Check a workflow without saving it");
        group.MapGet("/{slug}", GetAsync).WithSummary("Get a workflow in its latest version; with 'Accept: application/yaml', its source");
        group.MapPut("/{slug}", UpdateAsync).RequireScope(Scopes.AgentsWrite)
            .WithSummary("Make a new version; moves 'staging' to it, and 'production' too unless promote=false");
        group.MapDelete("/{slug}", DeleteAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Delete a workflow; its versions stay for the runs that used them");
        group.MapGet("/{slug}/versions", VersionsAsync).WithSummary("List the versions, newest first");
        group.MapGet("/{slug}/versions/{number:int}", GetVersionAsync).WithSummary("Get one version; with 'Accept: application/yaml', its source");
        group.MapGet("/{slug}/graph", GraphAsync).WithSummary("The graph of a version (the latest, or ?version=) as JSON, or with ?format=mermaid as a Mermaid flow chart");
        group.MapPut("/{slug}/labels/{label}", MoveLabelAsync).RequireScope(Scopes.AgentsWrite).WithSummary("Point a label to a version: promotion or rollback");
    }

    private static async Task<Ok<Page<WorkflowView>>> ListAsync(HttpContext http, WorkflowQueries queries, int? limit, string? cursor, CancellationToken cancellationToken) =>
        TypedResults.Ok(await queries.ListAsync(http.GetCaller().TenantId, PageRequest.Of(limit, cursor), cancellationToken));

    private static ContentHttpResult Schema() => TypedResults.Text(WorkflowSchema.Text, "application/schema+json");

    private static async Task<Ok<WorkflowCheck>> ValidateAsync(HttpContext http, WorkflowValidator validator, CancellationToken cancellationToken)
    {
        WorkflowReading reading = await validator.CheckAsync(http.GetCaller().TenantId, await WorkflowBody.ReadAsync(http.Request, cancellationToken), cancellationToken);
        return TypedResults.Ok(new WorkflowCheck(reading.Problems.Count == 0, reading.Definition?.Name, reading.Problems));
    }

    private static async Task<Results<Created<WorkflowView>, ProblemHttpResult>> CreateAsync(HttpContext http,
        WorkflowValidator validator, WorkflowCommands commands, WorkflowQueries queries, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        string source = await WorkflowBody.ReadAsync(http.Request, cancellationToken);
        WorkflowReading reading = await validator.CheckAsync(caller.TenantId, source, cancellationToken);
        if (reading.Definition is not { } definition) return Invalid(reading);
        if (await commands.CreateAsync(caller.TenantId, definition, source, caller.UserId ?? caller.ApiKeyId, cancellationToken) == WorkflowOutcome.SlugTaken)
            return Problems.Conflict($"There is a workflow with the name '{definition.Name}' already.");
        WorkflowView view = (await queries.FindAsync(caller.TenantId, definition.Name, null, cancellationToken))!.Value.View;
        SetETag(http, view);
        return TypedResults.Created($"/api/v1/workflows/{view.Slug}", view);
    }

    private static async Task<Results<Ok<WorkflowView>, ContentHttpResult, ProblemHttpResult>> GetAsync(HttpContext http, string slug, WorkflowQueries queries, CancellationToken cancellationToken) =>
        await queries.FindAsync(http.GetCaller().TenantId, slug, null, cancellationToken) is { } found ? Show(http, found) : Missing(slug);

    private static async Task<Results<Ok<WorkflowView>, ProblemHttpResult>> UpdateAsync(HttpContext http, string slug, bool? promote,
        WorkflowValidator validator, WorkflowCommands commands, WorkflowQueries queries, CancellationToken cancellationToken)
    {
        Caller caller = http.GetCaller();
        if (!TryReadIfMatch(http, out int? expected)) return Problems.Of(412, ErrorCodes.PreconditionFailed, "'If-Match' is not the ETag of this workflow.");
        string source = await WorkflowBody.ReadAsync(http.Request, cancellationToken);
        // Whose workflow it is comes first: what is wrong with the text is nothing to somebody who has no such workflow.
        if (await queries.FindAsync(caller.TenantId, slug, null, cancellationToken) is null) return Missing(slug);
        WorkflowReading reading = await validator.CheckAsync(caller.TenantId, source, cancellationToken);
        if (reading.Definition is not { } definition) return Invalid(reading);
        if (definition.Name != slug) return Problems.Invalid("name", $"cannot be changed: the workflow is '{slug}'.");
        switch (await commands.UpdateAsync(caller.TenantId, definition, source, promote ?? true, expected, caller.UserId ?? caller.ApiKeyId, cancellationToken))
        {
            case WorkflowOutcome.NotFound:
                return Missing(slug);
            case WorkflowOutcome.VersionChanged:
                return expected is null
                    ? Problems.Conflict("The workflow was changed at the same moment. Try again.")
                    : Problems.Of(412, ErrorCodes.PreconditionFailed, "The workflow has a newer version than 'If-Match' names. Read it again and repeat your change.");
        }
        WorkflowView view = (await queries.FindAsync(caller.TenantId, slug, null, cancellationToken))!.Value.View;
        SetETag(http, view);
        return TypedResults.Ok(view);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(HttpContext http, string slug, WorkflowCommands commands, CancellationToken cancellationToken) =>
        await commands.DeleteAsync(http.GetCaller().TenantId, slug, cancellationToken) == WorkflowOutcome.Done ? TypedResults.NoContent() : Missing(slug);

    private static async Task<Results<Ok<Page<WorkflowVersionSummary>>, ProblemHttpResult>> VersionsAsync(HttpContext http, string slug, WorkflowQueries queries,
        int? limit, string? cursor, CancellationToken cancellationToken) =>
        await queries.VersionsAsync(http.GetCaller().TenantId, slug, PageRequest.Of(limit, cursor), cancellationToken) is { } page ? TypedResults.Ok(page) : Missing(slug);

    private static async Task<Results<Ok<WorkflowView>, ContentHttpResult, ProblemHttpResult>> GetVersionAsync(HttpContext http, string slug, int number, WorkflowQueries queries, CancellationToken cancellationToken) =>
        await queries.FindAsync(http.GetCaller().TenantId, slug, number, cancellationToken) is { } found ? Show(http, found) : Problems.NotFound($"Version {number} of workflow '{slug}'");

    private static async Task<Results<ContentHttpResult, FileContentHttpResult, ProblemHttpResult>> GraphAsync(HttpContext http, string slug, WorkflowQueries queries, WorkflowCatalogue catalogue,
        string? format, int? version, CancellationToken cancellationToken)
    {
        if (format is not (null or "json" or "mermaid")) return Problems.Invalid("format", "must be 'json' or 'mermaid'.");
        string tenantId = http.GetCaller().TenantId;
        if (await queries.FindAsync(tenantId, slug, version, cancellationToken) is not { } found || await catalogue.FindVersionAsync(tenantId, found.View.Id, found.View.Version, cancellationToken) is not { } workflow)
            return Missing(slug);
        WorkflowGraph graph = WorkflowGraph.Of(workflow.Definition);
        return format == "mermaid" ? TypedResults.Text(graph.ToMermaid(), "text/vnd.mermaid; charset=utf-8") : TypedResults.Bytes(graph.ToJson(), "application/json; charset=utf-8");
    }

    private static async Task<Results<Ok<WorkflowView>, ProblemHttpResult>> MoveLabelAsync(HttpContext http, string slug, string label, WorkflowLabelRequest body,
        WorkflowCommands commands, WorkflowQueries queries, CancellationToken cancellationToken)
    {
        string tenantId = http.GetCaller().TenantId;
        if (!WorkflowCommands.Labels.Contains(label)) return Problems.Invalid("label", "must be 'production' or 'staging'.");
        switch (await commands.MoveLabelAsync(tenantId, slug, label, body.Version, cancellationToken))
        {
            case WorkflowOutcome.NotFound:
                return Missing(slug);
            case WorkflowOutcome.UnknownVersion:
                return Problems.Invalid("version", $"{body.Version} is not a version of this workflow.");
        }
        return TypedResults.Ok((await queries.FindAsync(tenantId, slug, null, cancellationToken))!.Value.View);
    }

    private static Results<Ok<WorkflowView>, ContentHttpResult, ProblemHttpResult> Show(HttpContext http, (WorkflowView View, string Source) found)
    {
        SetETag(http, found.View);
        http.Response.Headers.Vary = "Accept";
        return http.Request.Headers.Accept.ToString().Contains("yaml", StringComparison.OrdinalIgnoreCase)
            ? TypedResults.Text(found.Source, $"{WorkflowBody.Yaml}; charset=utf-8") : TypedResults.Ok(found.View);
    }

    private static ProblemHttpResult Invalid(WorkflowReading reading)
    {
        ProblemHttpResult result = Problems.Invalid(reading.Problems.GroupBy(p => p.Path.Length == 0 ? "workflow" : p.Path).ToDictionary(g => g.Key, g => g.Select(p => $"{p.Message} (line {p.Line}, column {p.Column})").ToArray()));
        result.ProblemDetails.Extensions["problems"] = reading.Problems;
        return result;
    }

    private static ProblemHttpResult Missing(string slug) => Problems.Of(404, ErrorCodes.WorkflowNotFound, $"Workflow '{slug}' was not found.");

    private static void SetETag(HttpContext http, WorkflowView view) => http.Response.Headers.ETag = $"\"{view.LatestVersion}\"";

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
