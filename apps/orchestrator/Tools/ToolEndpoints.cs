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
using MultiAgent.Orchestrator.Tools.Results;
using MultiAgent.Orchestrator.Tools.Sources;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>A tool as the API shows it.</summary>
internal sealed record ToolView
{
    /// <summary>The name that agents and workflows list.</summary>
    public required string Name { get; init; }
    /// <summary>The name that models call.</summary>
    public required string WireName { get; init; }
    /// <summary><c>builtin</c>, <c>openapi</c> or <c>mcp</c>.</summary>
    public required string Kind { get; init; }
    /// <summary>Slug of its source.</summary>
    public string? Source { get; init; }
    public required string Description { get; init; }
    /// <summary>JSON schema of the arguments.</summary>
    public required JsonElement Parameters { get; init; }
    /// <summary>JSON schema of the result, where one is declared.</summary>
    public JsonElement? Result { get; init; }
    /// <summary>What a repetition does: <c>none</c>, <c>idempotent</c> or <c>unsafe</c>; absent where it depends on the arguments.</summary>
    public string? Effect { get; init; }
    public bool Destructive { get; init; }
}

/// <summary>Body of POST /call.</summary>
internal sealed record ToolCallRequest
{
    public JsonElement? Arguments { get; init; }
    /// <summary>Settings as agents have them.</summary>
    public AgentTool? Settings { get; init; }
}

/// <summary>What a call outside of a run gave.</summary>
internal sealed record ToolCallView(string Tool, bool IsError, string? Code, string Text, decimal? CostUsd, double Milliseconds);

/// <summary>/api/v1/tools and /api/v1/tool-results.</summary>
internal static class ToolEndpoints
{
    public static void MapTools(this IEndpointRouteBuilder routes)
    {
        RouteGroupBuilder group = routes.MapGroup("/api/v1/tools").WithTags("Tools").RequireScope(Scopes.AgentsRead);
        group.MapGet("", ListAsync).WithSummary("List the tools that agents may use: built-in ones and those of sources");
        group.MapGet("/{name}", GetAsync).WithSummary("Get a tool with the schemas of its arguments and result");
        group.MapPost("/{name}/call", CallAsync).RequireScope(Scopes.AgentsWrite).Idempotent().WithSummary("Call a tool to try it out");
        routes.MapGet("/api/v1/tool-results/{id}", ReadAsync).WithTags("Tools").RequireScope(Scopes.RunsRead).WithSummary("Read a result that was larger than what the model got, from offset on");
    }

    private static async Task<Ok<Page<ToolView>>> ListAsync(HttpContext http, TenantTools tools, int? limit, string? cursor, CancellationToken cancellationToken)
    {
        PageRequest page = PageRequest.Of(limit, cursor);
        IEnumerable<ITool> all = await tools.ListAsync(http.GetCaller().TenantId, cancellationToken);
        if (page.After is { } after) all = all.Where(t => string.CompareOrdinal(t.Name, after) > 0);
        return TypedResults.Ok(Page<ToolView>.From([.. all.Take(page.Limit + 1).Select(View)], page.Limit, t => t.Name));
    }

    private static async Task<Results<Ok<ToolView>, ProblemHttpResult>> GetAsync(HttpContext http, string name, TenantTools tools, CancellationToken cancellationToken) =>
        await tools.FindAsync(http.GetCaller().TenantId, name, cancellationToken) is { } tool ? TypedResults.Ok(View(tool)) : Missing(name);

    private static async Task<Results<Ok<ToolCallView>, ProblemHttpResult>> CallAsync(HttpContext http, string name, ToolCallRequest body, TenantTools tools, ToolRegistry registry, TimeProvider time, CancellationToken cancellationToken)
    {
        string tenantId = http.GetCaller().TenantId;
        if (await tools.FindAsync(tenantId, name, cancellationToken) is not { } tool) return Missing(name);
        AgentTool settings = (body.Settings ?? new AgentTool()) with { Name = name };
        if (settings.TimeoutSeconds is { } seconds && seconds is not (>= 0.1 and <= 300)) return Problems.Invalid("settings.timeoutSeconds", "must be between 0.1 and 300.");
        if (name == HttpRequestTool.ToolName && (settings.AllowedHosts is not { Count: > 0 and <= 50 } hosts || hosts.Any(h => !HostPattern.IsValid(h))))
            return Problems.Invalid("settings.allowedHosts", "is required: 1 to 50 host names such as 'api.example.com'.");
        if (registry.Check(tool, body.Arguments?.GetRawText() ?? "{}", out JsonElement arguments) is { } problem) return Problems.Invalid("arguments", problem);
        string key = http.Request.IdempotencyKey() ?? Ids.New("call", time);
        long begun = time.GetTimestamp();
        ToolCallView Answer(string text, bool isError, string? code, decimal? cost) =>
            new(tool.Name, isError, code, Runs.ToolRunner.Bound(text), cost, Math.Round(time.GetElapsedTime(begun).TotalMilliseconds, 1));
        try
        {
            ToolResult result = await tool.ExecuteAsync(new ToolContext { TenantId = tenantId, RunId = key, IdempotencyKey = $"{tenantId}:{key}", Settings = settings }, arguments, cancellationToken);
            return TypedResults.Ok(Answer(result.Text, result.IsError, null, result.CostUsd));
        }
        catch (ToolException e)
        {
            return TypedResults.Ok(Answer(e.Message, true, e.Code, 0m));
        }
    }

    private static async Task<Results<Ok<ToolResultPage>, ProblemHttpResult>> ReadAsync(HttpContext http, string id, ToolResults results, int? offset, int? limit, CancellationToken cancellationToken)
    {
        if (offset < 0) return Problems.Invalid("offset", "must be 0 or more.");
        if (limit is < 4 or > ToolResults.MaxPage) return Problems.Invalid("limit", $"must be between 4 and {ToolResults.MaxPage} bytes.");
        return await results.ReadAsync(http.GetCaller().TenantId, id, offset ?? 0, limit ?? ToolResults.MaxPage, cancellationToken) is { } page ? TypedResults.Ok(page) : Problems.NotFound("The result");
    }

    private static ToolView View(ITool tool)
    {
        SourceTool? own = tool as SourceTool;
        return new ToolView
        {
            Name = tool.Name,
            WireName = tool.WireName,
            Kind = own?.MetricName ?? "builtin",
            Source = own is null ? null : tool.Name[..tool.Name.IndexOf('.')],
            Description = tool.Description,
            Parameters = JsonSerializer.Deserialize<JsonElement>(tool.ParametersSchema),
            Result = own?.Imported.Result,
            Effect = own is null ? null : ToolEffects.Of(own.Imported.Effect),
            Destructive = tool.IsDestructive,
        };
    }

    private static ProblemHttpResult Missing(string name) => Problems.Of(404, ErrorCodes.ToolNotFound, $"Tool '{name}' was not found.");
}
