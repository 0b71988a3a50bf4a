using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>
/// <c>loop</c>: the same steps again and again. <c>while</c> is asked before each iteration, <c>until</c> after it; both may use <c>iteration</c> (from 0) and the
/// steps inside. Its output is that of the last step of the last iteration.
/// </summary>
public sealed record LoopStep(StepHead Head) : Step(Head), IStepType<LoopStep>
{
    public const string BodyKey = "body";

    public Condition? While { get; init; }
    public Condition? Until { get; init; }
    public required int MaxIterations { get; init; }
    public required IReadOnlyList<Step> Steps { get; init; }

    public override IReadOnlyList<StepBlock> Blocks => [new StepBlock(BodyKey, While is null ? $"until {Until?.Source}" : $"while {While.Source}", Steps)];

    public static string TypeName => "loop";

    public static StepKind Kind => StepKind.Container;

    public static string Schema => """
        {"properties": {
          "while": {"$ref": "#/definitions/condition", "description": "Asked before each iteration."},
          "until": {"$ref": "#/definitions/condition", "description": "Asked after each iteration."},
          "maxIterations": {"type": "integer", "minimum": 1, "maximum": 1000, "description": "The loop ends after so many."},
          "steps": {"$ref": "#/definitions/steps"}
        }, "required": ["maxIterations", "steps"], "oneOf": [{"required": ["while"]}, {"required": ["until"]}]}
        """;

    public static LoopStep Read(StepReader reader)
    {
        reader.ExactlyOne("while", "until");
        int max = reader.Integer("maxIterations", 1, 1000, required: true) ?? 1;
        IReadOnlyList<Step> steps = reader.Steps("steps", BodyKey, "iteration");
        return new(reader.Head)
        {
            While = reader.Has("while") ? reader.Condition("while", after: true, locals: "iteration") : null,
            Until = reader.Has("until") ? reader.Condition("until", after: true, locals: "iteration") : null,
            MaxIterations = max,
            Steps = steps,
        };
    }
}
