using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace MultiAgent.Orchestrator.Tests.Mcp.Conformance;

/// <summary>The smallest contents of their types.</summary>
internal static class FixtureContent
{
    /// <summary>An image of one red point.</summary>
    public static readonly byte[] Png = Convert.FromBase64String("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==");

    /// <summary>A sound of no length.</summary>
    public static readonly byte[] Wav = Convert.FromBase64String("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=");
}

/// <summary>Resources of the suite's server.</summary>
internal static class FixtureResources
{
    private const string Before = "test://template/", After = "/data";

    public static ListResourcesResult List() => new()
    {
        Resources =
        [
            new Resource { Uri = "test://static-text", Name = "Static text", MimeType = "text/plain" },
            new Resource { Uri = "test://static-binary", Name = "Static binary", MimeType = "image/png" },
            new Resource { Uri = "test://watched-resource", Name = "Watched", MimeType = "text/plain" },
        ],
    };

    public static ListResourceTemplatesResult Templates() => new()
    {
        ResourceTemplates = [new ResourceTemplate { UriTemplate = $"{Before}{{id}}{After}", Name = "Template", MimeType = "application/json" }],
    };

    public static ReadResourceResult Read(string uri)
    {
        if (uri.StartsWith(Before, StringComparison.Ordinal) && uri.EndsWith(After, StringComparison.Ordinal))
        {
            string id = uri[Before.Length..^After.Length];
            return Text(uri, "application/json", JsonSerializer.Serialize(new { id, templateTest = true, data = $"Data for ID: {id}" }));
        }
        return uri switch
        {
            "test://static-text" => Text(uri, "text/plain", "This is the content of the static text resource."),
            "test://static-binary" => new ReadResourceResult { Contents = [BlobResourceContents.FromBytes(FixtureContent.Png, uri, "image/png")] },
            "test://watched-resource" => Text(uri, "text/plain", "Watched resource content"),
            _ => throw new McpProtocolException($"There is no resource '{uri}'.", McpErrorCode.ResourceNotFound),
        };
    }

    private static ReadResourceResult Text(string uri, string type, string text) => new() { Contents = [new TextResourceContents { Uri = uri, MimeType = type, Text = text }] };
}

/// <summary>Prompts of the suite's server.</summary>
internal static class FixturePrompts
{
    public static ListPromptsResult List() => new()
    {
        Prompts =
        [
            new Prompt { Name = "test_simple_prompt", Description = "A prompt without arguments." },
            new Prompt { Name = "test_prompt_with_arguments", Description = "A prompt with arguments.", Arguments = [Argument("arg1"), Argument("arg2")] },
            new Prompt { Name = "test_prompt_with_embedded_resource", Description = "A prompt with a resource.", Arguments = [Argument("resourceUri")] },
            new Prompt { Name = "test_prompt_with_image", Description = "A prompt with an image." },
        ],
    };

    public static GetPromptResult Get(GetPromptRequestParams asked)
    {
        string Value(string name) => asked.Arguments?.TryGetValue(name, out JsonElement value) == true ? value.GetString()! : "";
        return asked.Name switch
        {
            "test_simple_prompt" => Of(new TextContentBlock { Text = "This is a simple prompt for testing." }),
            "test_prompt_with_arguments" => Of(new TextContentBlock { Text = $"Prompt with arguments: arg1='{Value("arg1")}', arg2='{Value("arg2")}'" }),
            "test_prompt_with_embedded_resource" => Of(new EmbeddedResourceBlock { Resource = new TextResourceContents { Uri = Value("resourceUri"), MimeType = "text/plain", Text = "Embedded resource content for testing." } }, new TextContentBlock { Text = "Please process the embedded resource above." }),
            "test_prompt_with_image" => Of(ImageContentBlock.FromBytes(FixtureContent.Png, "image/png"), new TextContentBlock { Text = "Please analyze the image above." }),
            _ => throw new McpProtocolException($"There is no prompt '{asked.Name}'.", McpErrorCode.InvalidParams),
        };
    }

    private static PromptArgument Argument(string name) => new() { Name = name, Description = name, Required = true };

    private static GetPromptResult Of(params ContentBlock[] blocks) => new() { Messages = [.. blocks.Select(b => new PromptMessage { Role = Role.User, Content = b })] };
}
