using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>
/// <c>group_chat</c>: agents talk about a message until a condition holds or the rounds are over. A manager chooses who speaks next, or they take turns. The
/// output is <c>{messages: [{agent, content}], final}</c>.
/// </summary>
public sealed record GroupChatStep(StepHead Head) : Step(Head), IStepType<GroupChatStep>
{
    public required IReadOnlyList<TargetReference> Agents { get; init; }
    /// <summary>Null: the agents take turns in the order of the list.</summary>
    public TargetReference? Manager { get; init; }
    public required TextTemplate Message { get; init; }
    /// <summary>In one round each agent speaks once (turns), or the manager chooses one speaker.</summary>
    public int MaxRounds { get; init; } = 10;
    /// <summary>Asked after each message; may use <c>last</c> (<c>agent</c>, <c>content</c>) and <c>round</c> (from 0).</summary>
    public Condition? StopWhen { get; init; }

    public static string TypeName => "group_chat";

    public static StepKind Kind => StepKind.Pattern;

    public static string Schema => """
        {"properties": {
          "agents": {"type": "array", "minItems": 2, "maxItems": 20, "items": {"$ref": "#/definitions/reference"}},
          "manager": {"$ref": "#/definitions/reference", "description": "The agent that chooses who speaks next."},
          "order": {"enum": ["round_robin"], "description": "The agents take turns; in place of a manager."},
          "message": {"$ref": "#/definitions/text"},
          "maxRounds": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
          "stopWhen": {"$ref": "#/definitions/condition", "description": "Asked after each message; last.agent, last.content and round are at hand."}
        }, "required": ["agents", "message"], "oneOf": [{"required": ["manager"]}, {"required": ["order"]}]}
        """;

    public static GroupChatStep Read(StepReader reader)
    {
        reader.ExactlyOne("manager", "order");
        reader.OneOf("order", ("round_robin", true));
        return new(reader.Head)
        {
            Agents = reader.Agents("agents", 2, 20),
            Manager = reader.Has("manager") ? reader.Agent("manager") : null,
            Message = reader.Template("message"),
            MaxRounds = reader.Integer("maxRounds", 1, 100) ?? 10,
            StopWhen = reader.Has("stopWhen") ? reader.Condition("stopWhen", after: false, "last", "round") : null,
        };
    }
}
