using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary><c>debate</c>: agents answer, see each other's answers and argue for some rounds; a judge decides. The output is the judge's answer.</summary>
public sealed record DebateStep(StepHead Head) : Step(Head), IStepType<DebateStep>
{
    public required IReadOnlyList<TargetReference> Agents { get; init; }
    public required TargetReference Judge { get; init; }
    public required TextTemplate Message { get; init; }
    public int Rounds { get; init; } = 2;

    public static string TypeName => "debate";

    public static StepKind Kind => StepKind.Pattern;

    public static string Schema => """
        {"properties": {
          "agents": {"type": "array", "minItems": 2, "maxItems": 10, "items": {"$ref": "#/definitions/reference"}},
          "judge": {"$ref": "#/definitions/reference"},
          "message": {"$ref": "#/definitions/text"},
          "rounds": {"type": "integer", "minimum": 1, "maximum": 10, "default": 2}
        }, "required": ["agents", "judge", "message"]}
        """;

    public static DebateStep Read(StepReader reader) => new(reader.Head)
    {
        Agents = reader.Agents("agents", 2, 10),
        Judge = reader.Agent("judge"),
        Message = reader.Template("message"),
        Rounds = reader.Integer("rounds", 1, 10) ?? 2,
    };
}
