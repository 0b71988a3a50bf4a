using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>When a <see cref="ParallelStep"/> is done, and what its output is.</summary>
public enum JoinMode
{
    /// <summary>All branches are done; an object of their outputs by branch id.</summary>
    All,
    /// <summary>The first branch that succeeds wins; its output. The others are cancelled.</summary>
    First,
    /// <summary>More than half of the branches have the same output; that output.</summary>
    Majority,
    /// <summary>All branches are done; an agent makes one answer of their outputs.</summary>
    Merge,
}

/// <summary>A branch of a <see cref="ParallelStep"/>.</summary>
public sealed record ParallelBranch(string Id, IReadOnlyList<Step> Steps);

/// <summary>An agent that makes one answer of many. The message may use <c>results</c>: the outputs by branch, or the list of outputs of a map.</summary>
public sealed record AgentCall(TargetReference Agent, TextTemplate Message);

/// <summary><c>parallel</c>: branches that run at the same time.</summary>
public sealed record ParallelStep(StepHead Head) : Step(Head), IStepType<ParallelStep>
{
    public required IReadOnlyList<ParallelBranch> Branches { get; init; }
    public JoinMode Join { get; init; }
    /// <summary>With <see cref="JoinMode.Merge"/>.</summary>
    public AgentCall? Merge { get; init; }

    public override IReadOnlyList<StepBlock> Blocks => [.. Branches.Select(b => new StepBlock(b.Id, b.Id, b.Steps))];

    public static string TypeName => "parallel";

    public static StepKind Kind => StepKind.Container;

    public static string Schema => """
        {"properties": {
          "branches": {"type": "array", "minItems": 1, "maxItems": 50, "items": {
            "type": "object", "additionalProperties": false, "required": ["id", "steps"],
            "properties": {"id": {"$ref": "#/definitions/id"}, "steps": {"$ref": "#/definitions/steps"}}}},
          "join": {"enum": ["all", "first", "majority", "merge"], "default": "all", "description": "When it is done, and what its output is."},
          "agent": {"$ref": "#/definitions/reference", "description": "With join: merge, the agent that merges."},
          "message": {"$ref": "#/definitions/text", "description": "With join: merge, what it is told; results holds the outputs by branch."}
        }, "required": ["branches"]}
        """;

    public static ParallelStep Read(StepReader reader)
    {
        JoinMode join = reader.OneOf("join", ("all", JoinMode.All), ("first", JoinMode.First), ("majority", JoinMode.Majority), ("merge", JoinMode.Merge));
        var ids = new HashSet<string>(StringComparer.Ordinal);
        var branches = reader.Objects("branches", 1, 50, (item, _) =>
        {
            string id = item.Id("id");
            if (id.Length > 0 && !ids.Add(id)) item.Problem("id", ProblemCodes.DuplicateId, $"There is a branch '{id}' already.");
            return new ParallelBranch(id, item.Steps("steps", id));
        });
        if (join != JoinMode.Merge)
        {
            reader.Forbid("agent", "goes with 'join: merge'.");
            reader.Forbid("message", "goes with 'join: merge'.");
        }
        return new(reader.Head)
        {
            Branches = branches,
            Join = join,
            Merge = join == JoinMode.Merge ? new AgentCall(reader.Agent("agent"), reader.Template("message", after: true, locals: "results")) : null,
        };
    }
}
