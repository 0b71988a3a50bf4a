using ModelContextProtocol.Protocol;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>Content of MCP servers as text for models that read text alone.</summary>
internal static class McpContent
{
    public static string Text(IEnumerable<ContentBlock> blocks) => string.Join("\n\n", blocks.Select(Text));

    public static string Text(IEnumerable<ResourceContents> contents) => string.Join("\n\n", contents.Select(Text));

    private static string Text(ContentBlock block) => block switch
    {
        TextContentBlock text => text.Text,
        ImageContentBlock image => $"[image of type {image.MimeType}, which cannot be shown here]",
        AudioContentBlock audio => $"[audio of type {audio.MimeType}, which cannot be played here]",
        EmbeddedResourceBlock embedded => Text(embedded.Resource),
        ResourceLinkBlock link => $"[resource {link.Uri}{(link.Name is { Length: > 0 } name ? $", {name}" : "")}{(link.Description is { Length: > 0 } about ? $": {about}" : "")}]",
        _ => $"[{block.Type}]",
    };

    private static string Text(ResourceContents contents) => contents switch
    {
        TextResourceContents text => text.Text,
        _ => $"[resource {contents.Uri} of type {contents.MimeType ?? "application/octet-stream"}, which is no text]",
    };
}
