using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>A slug, and after '@' the label or number of a version; without it the version with the label <c>production</c>.</summary>
public sealed record TargetReference(string Slug, string? Selector)
{
    public override string ToString() => Selector is null ? Slug : $"{Slug}@{Selector}";
}

/// <summary><c>agent</c>: an agent answers a message.</summary>
public sealed record AgentStep(StepHead Head) : Step(Head), IStepType<AgentStep>
{
    public required TargetReference Agent { get; init; }
    public required TextTemplate Message { get; init; }
    /// <summary>Gives an object: values of the agent's variables.</summary>
    public ValueTemplate? Variables { get; init; }

    public static string TypeName => "agent";

    public static StepKind Kind => StepKind.Leaf;

    public static string Schema => """
        {"properties": {
          "agent": {"$ref": "#/definitions/reference", "description": "The agent: slug, slug@label or slug@number."},
          "message": {"$ref": "#/definitions/text", "description": "What the agent is told."},
          "variables": {"$ref": "#/definitions/values", "description": "Values of the agent's variables."}
        }, "required": ["agent", "message"]}
        """;

    public static AgentStep Read(StepReader reader) => new(reader.Head)
    {
        Agent = reader.Agent("agent"),
        Message = reader.Template("message"),
        Variables = reader.Values("variables"),
    };
}
