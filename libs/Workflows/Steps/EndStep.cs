using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>How an <see cref="EndStep"/> ends the workflow.</summary>
public enum EndStatus
{
    Completed,
    /// <summary>What was done is compensated, as after a step that failed.</summary>
    Failed,
}

/// <summary><c>end</c>: ends the whole workflow, wherever it stands.</summary>
public sealed record EndStep(StepHead Head) : Step(Head), IStepType<EndStep>
{
    public EndStatus Status { get; init; }
    /// <summary>The workflow's output, in place of the one that the workflow declares.</summary>
    public ValueTemplate? Output { get; init; }
    /// <summary>Why, for people.</summary>
    public TextTemplate? Message { get; init; }

    public static string TypeName => "end";

    public static StepKind Kind => StepKind.End;

    public static string Schema => """
        {"properties": {
          "status": {"enum": ["completed", "failed"], "default": "completed"},
          "output": {"$ref": "#/definitions/value", "description": "The workflow's output."},
          "message": {"$ref": "#/definitions/text", "description": "Why, for people."}
        }}
        """;

    public static EndStep Read(StepReader reader) => new(reader.Head)
    {
        Status = reader.OneOf("status", ("completed", EndStatus.Completed), ("failed", EndStatus.Failed)),
        Output = reader.OptionalValue("output"),
        Message = reader.OptionalTemplate("message"),
    };
}
