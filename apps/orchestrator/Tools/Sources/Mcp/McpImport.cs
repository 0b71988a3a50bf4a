using System.Text.Json;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>Makes tools of what an MCP server offers.</summary>
internal sealed class McpImport(McpConnections connections)
{
    private const int MaxTools = 500;
    private const int MaxDescription = 1024;

    /// <exception cref="SourceReadException">The server cannot be read.</exception>
    public async Task<SourceReading> ReadAsync(ToolSource source, CancellationToken cancellationToken)
    {
        try
        {
            return await connections.UseAsync(source, async (client, token) =>
            {
                IList<McpClientTool> listed = client.ServerCapabilities.Tools is null ? [] : await client.ListToolsAsync(cancellationToken: token);
                return Read(listed.Select(t => t.ProtocolTool), source.Spec.Mcp?.Tools, client.ServerCapabilities.Resources is not null);
            }, cancellationToken);
        }
        catch (ToolException e)
        {
            throw new SourceReadException(e.Message);
        }
    }

    private static SourceReading Read(IEnumerable<Tool> listed, IReadOnlyList<string>? wanted, bool hasResources)
    {
        var tools = new List<ImportedTool>();
        var skipped = new List<string>();
        var taken = new HashSet<string>(StringComparer.Ordinal);
        var there = new HashSet<string>(StringComparer.Ordinal);
        foreach (Tool tool in listed)
        {
            there.Add(tool.Name);
            if (wanted is not null && !wanted.Contains(tool.Name)) continue;
            if (tools.Count == MaxTools)
            {
                skipped.Add($"The server has more than {MaxTools} tools. Name those that you need in 'mcp.tools'.");
                break;
            }
            if (JsonShape.TryParse(tool.InputSchema, out string? problem) is null)
            {
                skipped.Add($"{tool.Name}: The schema of its arguments {problem}");
                continue;
            }
            bool readOnly = tool.Annotations?.ReadOnlyHint == true;
            tools.Add(new ImportedTool
            {
                Name = ToolNames.Clean(tool.Name, taken),
                RemoteName = tool.Name,
                Description = Cut(tool.Description ?? tool.Title ?? tool.Annotations?.Title ?? tool.Name),
                Parameters = tool.InputSchema,
                Result = tool.OutputSchema is { } result && JsonShape.TryParse(result, out _) is not null ? result : null,
                Effect = readOnly ? ToolEffect.None : tool.Annotations?.IdempotentHint == true ? ToolEffect.Idempotent : ToolEffect.Unsafe,
                Destructive = readOnly ? false : tool.Annotations?.DestructiveHint,
            });
        }
        foreach (string missing in (wanted ?? []).Where(w => !there.Contains(w))) skipped.Add($"{missing}: The server has no such tool.");
        if (hasResources) tools.AddRange(Resources(taken));
        return new SourceReading(tools, skipped);
    }

    private static IEnumerable<ImportedTool> Resources(HashSet<string> taken) =>
    [
        new()
        {
            Name = ToolNames.Clean("list_resources", taken),
            RemoteName = "resources/list",
            Description = "Lists what can be read with read_resource: documents and data, with their URIs, and templates of URIs.",
            Parameters = Schema("""{"type":"object","properties":{},"additionalProperties":false}"""),
            Effect = ToolEffect.None,
            Mcp = McpOperation.ListResources,
        },
        new()
        {
            Name = ToolNames.Clean("read_resource", taken),
            RemoteName = "resources/read",
            Description = "Reads a resource by its URI.",
            Parameters = Schema("""{"type":"object","properties":{"uri":{"type":"string","maxLength":2048,"description":"From list_resources, or made of a template."}},"required":["uri"],"additionalProperties":false}"""),
            Effect = ToolEffect.None,
            Mcp = McpOperation.ReadResource,
        },
    ];

    private static JsonElement Schema(string text) => JsonSerializer.Deserialize<JsonElement>(text);

    private static string Cut(string text) => text.Length <= MaxDescription ? text : text[..(MaxDescription - 1)] + "…";
}
