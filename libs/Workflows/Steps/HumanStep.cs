using MultiAgent.Contracts.Identity;
using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary>Whom to ask when nobody has answered.</summary>
public sealed record Escalation(TimeSpan After, Role Role);

/// <summary><c>human</c>: a person decides or answers. The run waits at no cost.</summary>
public sealed record HumanStep(StepHead Head) : Step(Head), IStepType<HumanStep>
{
    public required TextTemplate Title { get; init; }
    public TextTemplate? Message { get; init; }
    /// <summary>What the answer must look like.</summary>
    public JsonShape? Form { get; init; }
    /// <summary>The role that is asked; stronger ones may answer too.</summary>
    public Role Role { get; init; } = Role.Admin;
    public TimeSpan? Expires { get; init; }
    public ErrorAction OnExpire { get; init; }
    public Escalation? Escalate { get; init; }

    public static string TypeName => "human";

    public static StepKind Kind => StepKind.Leaf;

    public static string Schema => """
        {"properties": {
          "title": {"$ref": "#/definitions/text"},
          "message": {"$ref": "#/definitions/text"},
          "form": {"$ref": "#/definitions/schema", "description": "JSON schema of the answer."},
          "role": {"$ref": "#/definitions/role", "default": "admin", "description": "Who may answer; stronger roles may too."},
          "expiresSeconds": {"type": "number", "minimum": 1, "maximum": 31622400},
          "onExpire": {"enum": ["fail", "continue"], "default": "fail"},
          "escalate": {"type": "object", "additionalProperties": false, "required": ["afterSeconds", "role"], "description": "Ask another role when nobody has answered.",
            "properties": {"afterSeconds": {"type": "number", "minimum": 1, "maximum": 31622400}, "role": {"$ref": "#/definitions/role"}}}
        }, "required": ["title"]}
        """;

    public static HumanStep Read(StepReader reader)
    {
        TimeSpan? expires = reader.Seconds("expiresSeconds", 1, StepReader.LongestWait);
        if (expires is null) reader.Forbid("onExpire", "goes with 'expiresSeconds'.");
        Escalation? escalate = reader.Object("escalate", e => new Escalation(e.Seconds("afterSeconds", 1, StepReader.LongestWait, required: true) ?? TimeSpan.Zero, e.Role("role", required: true)));
        if (escalate is not null && escalate.After >= expires) reader.Problem("escalate", ProblemCodes.InvalidValue, "must come before 'expiresSeconds'.");
        return new(reader.Head)
        {
            Title = reader.Template("title"),
            Message = reader.OptionalTemplate("message"),
            Form = reader.Schema("form"),
            Role = reader.Role("role"),
            Expires = expires,
            OnExpire = reader.OneOf("onExpire", ("fail", ErrorAction.Fail), ("continue", ErrorAction.Continue)),
            Escalate = escalate,
        };
    }
}
