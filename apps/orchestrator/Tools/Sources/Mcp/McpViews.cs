using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using ModelContextProtocol.Client;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Errors;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

internal sealed record McpResourceView(string? Uri, string? UriTemplate, string Name, string? Description, string? MimeType);

internal sealed record McpResourceContentView(string Uri, string Text);

internal sealed record McpPromptView(string Name, string? Description, IReadOnlyList<McpPromptArgumentView> Arguments);

internal sealed record McpPromptArgumentView(string Name, string? Description, bool Required);

internal sealed record McpPromptRequest(IReadOnlyDictionary<string, string>? Arguments);

internal sealed record McpPromptMessageView(string Role, string Text);

internal sealed record McpList<T>(IReadOnlyList<T> Data);

/// <summary>Resources and prompts of MCP servers for the API.</summary>
internal static class McpViews
{
    public static Task<Results<Ok<McpList<McpResourceView>>, ProblemHttpResult>> ResourcesAsync(HttpContext http, string slug, TenantTools tools, McpConnections connections, CancellationToken cancellationToken) =>
        UseAsync(http, slug, tools, connections, async (client, token) => client.ServerCapabilities.Resources is null ? new McpList<McpResourceView>([]) : new McpList<McpResourceView>(
        [
            .. (await client.ListResourcesAsync(cancellationToken: token)).Select(r => new McpResourceView(r.Uri, null, r.Name, r.Description, r.MimeType)),
            .. (await client.ListResourceTemplatesAsync(cancellationToken: token)).Select(t => new McpResourceView(null, t.UriTemplate, t.Name, t.Description, t.MimeType)),
        ]), cancellationToken);

    public static Task<Results<Ok<McpResourceContentView>, ProblemHttpResult>> ReadAsync(HttpContext http, string slug, string uri, TenantTools tools, McpConnections connections, CancellationToken cancellationToken) =>
        UseAsync(http, slug, tools, connections, async (client, token) => new McpResourceContentView(uri, McpContent.Text((await client.ReadResourceAsync(uri, cancellationToken: token)).Contents)), cancellationToken);

    public static Task<Results<Ok<McpList<McpPromptView>>, ProblemHttpResult>> PromptsAsync(HttpContext http, string slug, TenantTools tools, McpConnections connections, CancellationToken cancellationToken) =>
        UseAsync(http, slug, tools, connections, async (client, token) => client.ServerCapabilities.Prompts is null ? new McpList<McpPromptView>([]) : new McpList<McpPromptView>(
            [.. (await client.ListPromptsAsync(cancellationToken: token)).Select(p => new McpPromptView(p.Name, p.Description,
                [.. (p.ProtocolPrompt.Arguments ?? []).Select(a => new McpPromptArgumentView(a.Name, a.Description, a.Required == true))]))]), cancellationToken);

    public static Task<Results<Ok<McpList<McpPromptMessageView>>, ProblemHttpResult>> PromptAsync(HttpContext http, string slug, string name, McpPromptRequest body, TenantTools tools, McpConnections connections, CancellationToken cancellationToken) =>
        UseAsync(http, slug, tools, connections, async (client, token) => new McpList<McpPromptMessageView>(
            [.. (await client.GetPromptAsync(name, body.Arguments?.ToDictionary(a => a.Key, object? (a) => a.Value), cancellationToken: token)).Messages
                .Select(m => new McpPromptMessageView(m.Role.ToString().ToLowerInvariant(), McpContent.Text([m.Content])))]), cancellationToken);

    private static async Task<Results<Ok<T>, ProblemHttpResult>> UseAsync<T>(HttpContext http, string slug, TenantTools tools, McpConnections connections, Func<McpClient, CancellationToken, Task<T>> use, CancellationToken cancellationToken)
    {
        if (await tools.FindSourceAsync(http.GetCaller().TenantId, slug, cancellationToken) is not { } source) return Problems.NotFound($"The tool source '{slug}'");
        if (source.Spec.Kind != ToolSourceSpec.McpKind) return Problems.Invalid("slug", $"'{slug}' is no MCP server.");
        try
        {
            return TypedResults.Ok(await connections.UseAsync(source, use, cancellationToken));
        }
        catch (ToolException e)
        {
            return Problems.Of(502, ErrorCodes.ToolFailed, e.Message);
        }
    }
}
