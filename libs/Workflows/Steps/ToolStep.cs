using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>Settings of a tool, as an agent has them for its tools.</summary>
public sealed record ToolSettings
{
    /// <summary><c>http_request</c>: hosts that it may call.</summary>
    public IReadOnlyList<string>? AllowedHosts { get; init; }
    public double? TimeoutSeconds { get; init; }
}

/// <summary><c>tool</c>: one call of a tool.</summary>
public sealed record ToolStep(StepHead Head) : Step(Head), IStepType<ToolStep>
{
    public required string Tool { get; init; }
    /// <summary>Gives an object.</summary>
    public ValueTemplate? Arguments { get; init; }
    public ToolSettings? Settings { get; init; }

    public static string TypeName => "tool";

    public static StepKind Kind => StepKind.Leaf;

    public static string Schema => """
        {"properties": {
          "tool": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$", "description": "The name of the tool."},
          "arguments": {"$ref": "#/definitions/values", "description": "The arguments; strings may hold templates."},
          "settings": {"type": "object", "additionalProperties": false, "description": "Settings of the tool, as agents have them.", "properties": {
            "allowedHosts": {"type": "array", "minItems": 1, "maxItems": 50, "items": {"type": "string"}, "description": "http_request: hosts that it may call, e.g. api.example.com or *.example.com."},
            "timeoutSeconds": {"type": "number", "minimum": 0.1, "maximum": 300}
          }}
        }, "required": ["tool"]}
        """;

    public static ToolStep Read(StepReader reader) => new(reader.Head)
    {
        Tool = reader.Tool("tool"),
        Arguments = reader.Values("arguments"),
        Settings = reader.Object("settings", settings => new ToolSettings
        {
            AllowedHosts = settings.Texts("allowedHosts", 1, 50),
            TimeoutSeconds = settings.Number("timeoutSeconds", 0.1, 300),
        }),
    };
}
