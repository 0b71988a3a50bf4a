using MultiAgent.Workflows.Reading;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows.Steps;

/// <summary><c>wait</c>: for a time, an event or a webhook; exactly one of the four. For an event or webhook the output is its data.</summary>
public sealed record WaitStep(StepHead Head) : Step(Head), IStepType<WaitStep>
{
    public TimeSpan? Delay { get; init; }
    /// <summary>Gives an RFC 3339 time.</summary>
    public TextTemplate? Until { get; init; }
    /// <summary>The name of an event.</summary>
    public string? Event { get; init; }
    /// <summary>With <see cref="Event"/>: what the event's <c>key</c> must equal.</summary>
    public ValueTemplate? Match { get; init; }
    public bool Webhook { get; init; }

    public static string TypeName => "wait";

    public static StepKind Kind => StepKind.Leaf;

    public static string Schema => """
        {"properties": {
          "seconds": {"type": "number", "minimum": 0, "maximum": 31622400},
          "until": {"$ref": "#/definitions/text", "description": "Gives an RFC 3339 time."},
          "event": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$", "description": "The name of an event."},
          "match": {"$ref": "#/definitions/value", "description": "What the event's key must equal."},
          "webhook": {"enum": [true]}
        }, "oneOf": [{"required": ["seconds"]}, {"required": ["until"]}, {"required": ["event"]}, {"required": ["webhook"]}]}
        """;

    public static WaitStep Read(StepReader reader)
    {
        reader.ExactlyOne("seconds", "until", "event", "webhook");
        if (!reader.Has("event")) reader.Forbid("match", "goes with 'event'.");
        if (!reader.Has("event") && !reader.Has("webhook") && reader.Head.Policy.Timeout is not null) reader.Problem("timeoutSeconds", ProblemCodes.InvalidValue, "goes with 'event' or 'webhook' in a step of this type.");
        return new(reader.Head)
        {
            Delay = reader.Seconds("seconds", 0, StepReader.LongestWait),
            Until = reader.OptionalTemplate("until"),
            Event = reader.Name("event"),
            Match = reader.OptionalValue("match"),
            Webhook = reader.Flag("webhook", onlyTrue: true),
        };
    }
}
