using System.Text.RegularExpressions;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>What became of a text.</summary>
/// <param name="Text">As it goes on.</param>
/// <param name="Blocked">What the user reads instead, when it does not go on.</param>
/// <param name="Events">Guardrails that have acted, in order.</param>
internal sealed record Guarded(string Text, string? Blocked, IReadOnlyList<GuardrailEvent> Events);

/// <summary>The guardrails of an agent, ready to be asked, in the order in which they are written.</summary>
internal sealed class GuardrailSet
{
    private const int MaxGuardrails = 20;
    private const int MaxTerms = 500;
    /// <summary>Reason of a run that a guardrail has ended.</summary>
    public const string BlockedReason = "guardrail_blocked";

    private const string DefaultMessage = "I cannot help with that here.";

    /// <summary>None.</summary>
    public static readonly GuardrailSet Empty = new([]);

    private readonly Entry[] _entries;

    private GuardrailSet(Entry[] entries) => _entries = entries;

    /// <summary>True when what the model says cannot be shown before the whole of it was checked.</summary>
    public bool HoldsOutput => Array.Exists(_entries, e => e.On.HasFlag(GuardrailStages.Output) && e.Action != GuardrailAction.Flag);

    /// <summary>True when any guardrail looks at one of the stages.</summary>
    public bool LooksAt(GuardrailStages stages) => Array.Exists(_entries, e => (e.On & stages) != 0);

    /// <summary>Compiles an agent's guardrails.</summary>
    /// <param name="specs">As the agent's definition has them.</param>
    /// <param name="problem">Calls back with the member and what is wrong with it.</param>
    public static GuardrailSet Compile(IReadOnlyList<GuardrailSpec>? specs, Action<string, string>? problem = null)
    {
        if (specs is not { Count: > 0 }) return Empty;
        if (specs.Count > MaxGuardrails) problem?.Invoke("", $"may have {MaxGuardrails} entries.");
        return new GuardrailSet([.. specs.Take(MaxGuardrails).Select((spec, i) => Read(spec, (member, message) => problem?.Invoke($"[{i}].{member}", message))).OfType<Entry>()]);
    }

    /// <summary>Has the guardrails of a stage look at a text, each at what the one before it has left.</summary>
    public Guarded Apply(GuardrailStages stage, string text)
    {
        List<GuardrailEvent>? events = null;
        foreach (Entry entry in _entries)
        {
            if (!entry.On.HasFlag(stage)) continue;
            GuardrailHit? hit = Check(entry.Guardrail, text);
            if (hit is null) continue;
            (events ??= []).Add(new GuardrailEvent(entry.Guardrail.Type, stage, entry.Action, hit.Found));
            if (entry.Action == GuardrailAction.Block) return new Guarded("", entry.Message, events);
            if (entry.Action == GuardrailAction.Rewrite) text = hit.Rewritten;
        }
        return new Guarded(text, null, events ?? []);
    }

    private static GuardrailHit? Check(IGuardrail guardrail, string text)
    {
        try
        {
            return guardrail.Check(text);
        }
        catch (RegexMatchTimeoutException)
        {
            // A text that cannot be checked does not pass unchecked.
            return new GuardrailHit(new Dictionary<string, int> { ["unchecked"] = 1 }, "[removed: it could not be checked]");
        }
    }

    private static Entry? Read(GuardrailSpec spec, Action<string, string> problem)
    {
        bool valid = true;
        IGuardrail? guardrail = null;
        var (on, action) = (GuardrailStages.None, GuardrailAction.Rewrite);
        switch (spec.Type)
        {
            case "pii":
                if (spec.Kinds?.FirstOrDefault(k => !PiiGuardrail.AllKinds.Contains(k)) is { } unknown) Add("kinds", $"'{unknown}' is none of {string.Join(", ", PiiGuardrail.AllKinds)}.");
                (guardrail, on) = (new PiiGuardrail(spec.Kinds is { Count: > 0 } kinds ? kinds : PiiGuardrail.AllKinds), GuardrailStages.Input | GuardrailStages.ToolResult | GuardrailStages.Output);
                break;
            case "prompt_injection":
                (guardrail, on) = (new InjectionGuardrail(), GuardrailStages.ToolResult);
                break;
            case "banned_topics":
                if (!AreTopics(spec.Topics)) Add("topics", $"is required: topics with a name and 'terms' of letters or digits, at most {MaxTerms} in all.");
                else guardrail = new TopicGuardrail(spec.Topics!);
                (on, action) = (GuardrailStages.Input | GuardrailStages.Output, GuardrailAction.Block);
                break;
            case "json_repair":
                (guardrail, on) = (new JsonRepairGuardrail(), GuardrailStages.Output);
                if (spec.Action is not (null or "rewrite")) Add("action", "must be 'rewrite': it does nothing else.");
                if (spec.On is { } places && places.Any(p => p != "output")) Add("on", "must be 'output'.");
                break;
            default:
                Add("type", "must be 'pii', 'prompt_injection', 'banned_topics' or 'json_repair'.");
                break;
        }
        if (spec.Action is not null && GuardrailNames.Action(spec.Action) is null) Add("action", "must be 'block', 'rewrite' or 'flag'.");
        if (spec.On is { } stages)
        {
            if (stages.Count == 0 || stages.Any(s => GuardrailNames.Stage(s) == GuardrailStages.None)) Add("on", "may have 'input', 'tool_result' and 'output'.");
            on = stages.Aggregate(GuardrailStages.None, (sum, s) => sum | GuardrailNames.Stage(s));
        }
        if (spec.Message is { Length: 0 or > 1000 }) Add("message", "may have 1 to 1000 characters.");
        return valid ? new Entry(guardrail!, on, GuardrailNames.Action(spec.Action) ?? action, spec.Message ?? DefaultMessage) : null;

        void Add(string member, string message)
        {
            valid = false;
            problem(member, message);
        }
    }

    private static bool AreTopics(IReadOnlyList<BannedTopic>? topics) => topics is { Count: > 0 }
        && topics.All(t => t is { Name.Length: > 0 and <= 100, Terms.Count: > 0 } && t.Terms.All(term => term is { Length: <= 200 } && TopicGuardrail.IsTerm(term))) && topics.Sum(t => t.Terms!.Count) <= MaxTerms;

    private sealed record Entry(IGuardrail Guardrail, GuardrailStages On, GuardrailAction Action, string Message);
}
