using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary><c>transform</c>: makes a value of others.</summary>
public sealed record TransformStep(StepHead Head) : Step(Head), IStepType<TransformStep>
{
    public required ValueTemplate Output { get; init; }

    public static string TypeName => "transform";

    public static StepKind Kind => StepKind.Leaf;

    public static string Schema => """
        {"properties": {"output": {"$ref": "#/definitions/value"}}, "required": ["output"]}
        """;

    public static TransformStep Read(StepReader reader) => new(reader.Head) { Output = reader.Value("output") };
}
