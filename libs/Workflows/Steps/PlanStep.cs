using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary><c>plan</c>: a planner makes a list of tasks, an executor does them one by one, and the planner looks again when one fails. The output is the planner's last answer.</summary>
public sealed record PlanStep(StepHead Head) : Step(Head), IStepType<PlanStep>
{
    public required TargetReference Planner { get; init; }
    public required TargetReference Executor { get; init; }
    public required TextTemplate Message { get; init; }
    public int MaxReplans { get; init; } = 3;
    public int MaxTasks { get; init; } = 20;

    public static string TypeName => "plan";

    public static StepKind Kind => StepKind.Pattern;

    public static string Schema => """
        {"properties": {
          "planner": {"$ref": "#/definitions/reference"},
          "executor": {"$ref": "#/definitions/reference"},
          "message": {"$ref": "#/definitions/text"},
          "maxReplans": {"type": "integer", "minimum": 0, "maximum": 20, "default": 3},
          "maxTasks": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20, "description": "Tasks in all, replanned ones counted."}
        }, "required": ["planner", "executor", "message"]}
        """;

    public static PlanStep Read(StepReader reader) => new(reader.Head)
    {
        Planner = reader.Agent("planner"),
        Executor = reader.Agent("executor"),
        Message = reader.Template("message"),
        MaxReplans = reader.Integer("maxReplans", 0, 20) ?? 3,
        MaxTasks = reader.Integer("maxTasks", 1, 100) ?? 20,
    };
}
