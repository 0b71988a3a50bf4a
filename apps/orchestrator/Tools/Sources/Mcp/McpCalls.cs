using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>Calls tools of MCP servers, and reads their resources.</summary>
internal sealed class McpCalls(McpConnections connections) : ISourceCalls
{
    private const int MaxListed = 500;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public string Kind => ToolSourceSpec.McpKind;

    public async Task<SourceReply> CallAsync(ToolSource source, ImportedTool tool, ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        SourceReply reply = await connections.UseAsync(source, (client, token) => tool.Mcp switch
        {
            McpOperation.ListResources => ListAsync(client, token),
            McpOperation.ReadResource => ReadAsync(client, arguments.GetProperty("uri").GetString()!, token),
            _ => CallAsync(client, tool.RemoteName, context.IdempotencyKey, arguments, token),
        }, cancellationToken);
        int limit = source.Spec.Limits?.MaxResultBytes ?? ToolSource.DefaultMaxResultBytes;
        return Encoding.UTF8.GetByteCount(reply.Text) <= limit ? reply : throw new ToolException($"The result is larger than {limit} bytes. Ask for less.");
    }

    private static async Task<SourceReply> CallAsync(McpClient client, string name, string key, JsonElement arguments, CancellationToken cancellationToken)
    {
        var id = new RequestId(Guid.NewGuid().ToString("n"));
        CallToolResult result;
        try
        {
            result = await client.SendRequestAsync<CallToolRequestParams, CallToolResult>(RequestMethods.ToolsCall, new CallToolRequestParams
            {
                Name = name,
                Arguments = arguments.EnumerateObject().ToDictionary(p => p.Name, p => p.Value),
                // The protocol has no such key; servers that know ours can tell a repetition by it.
                Meta = new JsonObject { ["maap/idempotencyKey"] = key },
            }, requestId: id, cancellationToken: cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The library stops to wait and leaves the server at work.
            await TellCancelledAsync(client, id);
            throw;
        }
        string text = McpContent.Text(result.Content);
        if (result.IsError == true) throw new ToolException(text.Length > 0 ? text : "The tool failed.");
        if (result.StructuredContent is not { } structured) return new SourceReply(text, null);
        return new SourceReply(text.Length > 0 ? text : structured.GetRawText(), structured);
    }

    private static async Task TellCancelledAsync(McpClient client, RequestId id)
    {
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            await client.SendNotificationAsync(NotificationMethods.CancelledNotification, new CancelledNotificationParams { RequestId = id }, cancellationToken: limit.Token);
        }
        catch (Exception)
        {
            // The server is gone, and its work with it.
        }
    }

    private static async Task<SourceReply> ListAsync(McpClient client, CancellationToken cancellationToken)
    {
        IList<McpClientResource> resources = await client.ListResourcesAsync(cancellationToken: cancellationToken);
        IList<McpClientResourceTemplate> templates = await client.ListResourceTemplatesAsync(cancellationToken: cancellationToken);
        string text = JsonSerializer.Serialize(new
        {
            resources = resources.Take(MaxListed).Select(r => new { uri = r.Uri, name = r.Name, description = r.Description, mimeType = r.MimeType }),
            templates = templates.Take(MaxListed).Select(t => new { uriTemplate = t.UriTemplate, name = t.Name, description = t.Description, mimeType = t.MimeType }),
        }, JsonSerializerOptions.Web);
        return new SourceReply(text, null);
    }

    private static async Task<SourceReply> ReadAsync(McpClient client, string uri, CancellationToken cancellationToken) =>
        new(McpContent.Text((await client.ReadResourceAsync(uri, cancellationToken: cancellationToken)).Contents), null);
}
