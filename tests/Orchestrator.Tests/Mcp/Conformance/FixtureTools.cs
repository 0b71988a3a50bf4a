#pragma warning disable MCP9005 // Logging and sampling are obsolete in a later revision; the one that is tested here has them.
using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace MultiAgent.Orchestrator.Tests.Mcp.Conformance;

/// <summary>Tools of the suite's server.</summary>
internal static class FixtureTools
{
    private const string NoArguments = """{"type":"object","properties":{}}""";
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    public static readonly IReadOnlyList<Tool> All =
    [
        Of("test_simple_text"), Of("test_image_content"), Of("test_audio_content"), Of("test_embedded_resource"), Of("test_multiple_content_types"), Of("test_tool_with_logging"), Of("test_tool_with_progress"),
        Of("test_error_handling"), Of("test_sampling", """{"type":"object","properties":{"prompt":{"type":"string"}},"required":["prompt"]}"""),
        Of("test_elicitation", """{"type":"object","properties":{"message":{"type":"string"}},"required":["message"]}"""), Of("test_elicitation_sep1034_defaults"), Of("test_elicitation_sep1330_enums"),
        Of("json_schema_2020_12_tool", """
            {"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{"type":"object","properties":{"street":{"type":"string"},"city":{"type":"string"}}}},
             "properties":{"name":{"type":"string"},"address":{"$ref":"#/$defs/address"}},"additionalProperties":false}
            """),
    ];

    public static async ValueTask<CallToolResult> CallAsync(RequestContext<CallToolRequestParams> request, CancellationToken cancellationToken)
    {
        McpServer server = request.Server;
        switch (request.Params!.Name)
        {
            case "test_simple_text":
                return Texts("This is a simple text response for testing.");
            case "test_image_content":
                return new CallToolResult { Content = [Image()] };
            case "test_audio_content":
                return new CallToolResult { Content = [AudioContentBlock.FromBytes(FixtureContent.Wav, "audio/wav")] };
            case "test_embedded_resource":
                return new CallToolResult { Content = [Resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")] };
            case "test_multiple_content_types":
                return new CallToolResult { Content = [new TextContentBlock { Text = "Multiple content types test:" }, Image(), Resource("test://mixed-content-resource", "application/json", """{"test":"data","value":123}""")] };
            case "test_tool_with_logging":
                foreach (string message in new[] { "Tool execution started", "Tool processing data", "Tool execution completed" })
                {
                    await server.SendNotificationAsync(NotificationMethods.LoggingMessageNotification, new LoggingMessageNotificationParams { Level = LoggingLevel.Info, Data = JsonSerializer.SerializeToElement(message) }, cancellationToken: cancellationToken);
                    await Task.Delay(Step, cancellationToken);
                }
                return Texts("Tool with logging executed successfully");
            case "test_tool_with_progress":
                foreach (int progress in new[] { 0, 50, 100 })
                {
                    if (request.Params.ProgressToken is { } token) await server.NotifyProgressAsync(token, new ProgressNotificationValue { Progress = progress, Total = 100 }, cancellationToken: cancellationToken);
                    await Task.Delay(Step, cancellationToken);
                }
                return Texts("Tool with progress executed successfully");
            case "test_error_handling":
                return new CallToolResult { IsError = true, Content = [new TextContentBlock { Text = "This tool intentionally returns an error for testing" }] };
            case "test_sampling":
                CreateMessageResult sampled = await server.SampleAsync(new CreateMessageRequestParams
                {
                    MaxTokens = 100, Messages = [new SamplingMessage { Role = Role.User, Content = [new TextContentBlock { Text = request.Params.Arguments!["prompt"].GetString()! }] }],
                }, cancellationToken);
                return Texts($"LLM response: {sampled.Content.OfType<TextContentBlock>().FirstOrDefault()?.Text}");
            case "test_elicitation":
                return await ElicitAsync(server, request.Params.Arguments!["message"].GetString()!, """{"type":"object","properties":{"response":{"type":"string","description":"User's response"}},"required":["response"]}""", "User response", cancellationToken);
            case "test_elicitation_sep1034_defaults":
                return await ElicitAsync(server, "Please review and update the form fields with defaults", """
                    {"type":"object","required":[],"properties":{
                      "name":{"type":"string","description":"User name","default":"John Doe"},
                      "age":{"type":"integer","description":"User age","default":30},
                      "score":{"type":"number","description":"User score","default":95.5},
                      "status":{"type":"string","description":"User status","enum":["active","inactive","pending"],"default":"active"},
                      "verified":{"type":"boolean","description":"Verification status","default":true}}}
                    """, "Elicitation completed", cancellationToken);
            case "test_elicitation_sep1330_enums":
                return await ElicitAsync(server, "Please select options from the enum fields", """
                    {"type":"object","required":[],"properties":{
                      "untitledSingle":{"type":"string","enum":["option1","option2","option3"]},
                      "titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"First Option"},{"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},
                      "legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},
                      "untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},
                      "titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"First Choice"},{"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}}}
                    """, "Elicitation completed", cancellationToken);
            case "json_schema_2020_12_tool":
                return Texts("JSON Schema 2020-12 tool called");
            default:
                throw new McpProtocolException($"There is no tool '{request.Params.Name}'.", McpErrorCode.InvalidParams);
        }
    }

    private static async Task<CallToolResult> ElicitAsync(McpServer server, string message, string schema, string said, CancellationToken cancellationToken)
    {
        ElicitResult answer = await server.ElicitAsync(new ElicitRequestParams { Message = message, RequestedSchema = JsonSerializer.Deserialize<ElicitRequestParams.RequestSchema>(schema, McpJsonUtilities.DefaultOptions) }, cancellationToken);
        return Texts($"{said}: action={answer.Action}, content={JsonSerializer.Serialize(answer.Content, McpJsonUtilities.DefaultOptions)}");
    }

    private static Tool Of(string name, string schema = NoArguments) => new() { Name = name, Description = $"For the conformance suite: {name}.", InputSchema = JsonSerializer.Deserialize<JsonElement>(schema) };

    private static CallToolResult Texts(string text) => new() { Content = [new TextContentBlock { Text = text }] };

    private static ImageContentBlock Image() => ImageContentBlock.FromBytes(FixtureContent.Png, "image/png");

    private static EmbeddedResourceBlock Resource(string uri, string type, string text) => new() { Resource = new TextResourceContents { Uri = uri, MimeType = type, Text = text } };
}
