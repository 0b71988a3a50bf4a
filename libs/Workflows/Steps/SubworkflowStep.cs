using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary><c>subworkflow</c>: another workflow, run to its end; its output is that workflow's.</summary>
public sealed record SubworkflowStep(StepHead Head) : Step(Head), IStepType<SubworkflowStep>
{
    public required TargetReference Workflow { get; init; }
    /// <summary>Gives an object.</summary>
    public ValueTemplate? Inputs { get; init; }

    public static string TypeName => "subworkflow";

    public static StepKind Kind => StepKind.Leaf;

    public static string Schema => """
        {"properties": {
          "workflow": {"$ref": "#/definitions/reference", "description": "The workflow: slug, slug@label or slug@number."},
          "inputs": {"$ref": "#/definitions/values", "description": "Its inputs."}
        }, "required": ["workflow"]}
        """;

    public static SubworkflowStep Read(StepReader reader) => new(reader.Head)
    {
        Workflow = reader.Workflow("workflow"),
        Inputs = reader.Values("inputs"),
    };
}
