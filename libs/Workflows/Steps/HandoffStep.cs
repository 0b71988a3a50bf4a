using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>What the next agent of a handoff sees of the conversation.</summary>
public enum HandoffView
{
    /// <summary>Everything.</summary>
    All,
    /// <summary>The first message and what the last agent said.</summary>
    Last,
    /// <summary>The first message alone.</summary>
    None,
}

/// <summary><c>handoff</c>: an agent answers or hands the conversation to another of the list. The output is the last agent's answer.</summary>
public sealed record HandoffStep(StepHead Head) : Step(Head), IStepType<HandoffStep>
{
    public required TargetReference Start { get; init; }
    public required IReadOnlyList<TargetReference> Agents { get; init; }
    public required TextTemplate Message { get; init; }
    public int MaxHandoffs { get; init; } = 5;
    public HandoffView Visible { get; init; }

    public static string TypeName => "handoff";

    public static StepKind Kind => StepKind.Pattern;

    public static string Schema => """
        {"properties": {
          "start": {"$ref": "#/definitions/reference", "description": "The agent that begins."},
          "agents": {"type": "array", "minItems": 1, "maxItems": 20, "items": {"$ref": "#/definitions/reference"}, "description": "The agents that may take over."},
          "message": {"$ref": "#/definitions/text"},
          "maxHandoffs": {"type": "integer", "minimum": 1, "maximum": 50, "default": 5},
          "visible": {"enum": ["all", "last", "summary_none"], "default": "all", "description": "What the next agent sees: everything, the first message and the last answer, or the first message alone."}
        }, "required": ["start", "agents", "message"]}
        """;

    public static HandoffStep Read(StepReader reader) => new(reader.Head)
    {
        Start = reader.Agent("start"),
        Agents = reader.Agents("agents", 1, 20),
        Message = reader.Template("message"),
        MaxHandoffs = reader.Integer("maxHandoffs", 1, 50) ?? 5,
        Visible = reader.OneOf("visible", ("all", HandoffView.All), ("last", HandoffView.Last), ("summary_none", HandoffView.None)),
    };
}
