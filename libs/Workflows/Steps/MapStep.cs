using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>
/// <c>map</c>: the same steps for every item of a list. Its output is the list of the outputs of the last step, in the order of the items, or what <c>reduce</c>
/// makes of it.
/// </summary>
public sealed record MapStep(StepHead Head) : Step(Head), IStepType<MapStep>
{
    public const string BodyKey = "body";

    /// <summary>Gives an array.</summary>
    public required ValueTemplate Over { get; init; }
    /// <summary>The variable that holds the item; <c>index</c> holds its number, from 0.</summary>
    public string As { get; init; } = "item";
    public int Concurrency { get; init; } = 4;
    public int MaxItems { get; init; } = 1000;
    public required IReadOnlyList<Step> Steps { get; init; }
    public AgentCall? Reduce { get; init; }

    public override IReadOnlyList<StepBlock> Blocks => [new StepBlock(BodyKey, $"each {As}", Steps)];

    public static string TypeName => "map";

    public static StepKind Kind => StepKind.Container;

    public static string Schema => """
        {"properties": {
          "over": {"$ref": "#/definitions/value", "description": "The list: an array, or '{{ expression }}' that gives one."},
          "as": {"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$", "default": "item", "description": "The variable that holds the item."},
          "concurrency": {"type": "integer", "minimum": 1, "maximum": 64, "default": 4, "description": "Items at the same time."},
          "maxItems": {"type": "integer", "minimum": 1, "maximum": 10000, "default": 1000, "description": "A longer list fails the step."},
          "steps": {"$ref": "#/definitions/steps"},
          "reduce": {"type": "object", "additionalProperties": false, "required": ["agent", "message"], "description": "An agent that makes one answer of all results.",
            "properties": {"agent": {"$ref": "#/definitions/reference"}, "message": {"$ref": "#/definitions/text"}}}
        }, "required": ["over", "steps"]}
        """;

    public static MapStep Read(StepReader reader)
    {
        ValueTemplate over = reader.Value("over");
        if (over.Constant is { } constant && constant.ValueKind != System.Text.Json.JsonValueKind.Array && reader.Has("over")) reader.Problem("over", ProblemCodes.WrongType, "must give an array, e.g. '{{ inputs.items }}'.");
        string name = reader.Text("as") ?? "item";
        if (!StepReader.IsName(name) || ScopeNames.Reserved.Contains(name) && name != "item") reader.Problem("as", ProblemCodes.InvalidValue, $"must be a name of lower-case letters, digits and underscores, and none of {string.Join(", ", ScopeNames.Reserved.Where(n => n != "item"))}.");
        return new(reader.Head)
        {
            Over = over,
            As = name,
            Concurrency = reader.Integer("concurrency", 1, 64) ?? 4,
            MaxItems = reader.Integer("maxItems", 1, 10_000) ?? 1000,
            Steps = reader.Steps("steps", BodyKey, name, "index"),
            Reduce = reader.Object("reduce", reduce => new AgentCall(reduce.Agent("agent"), reduce.Template("message", after: true, locals: "results"))),
        };
    }
}
