namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>A check of what goes into the model or comes out of it, as a tenant sets it for an agent.</summary>
internal sealed record GuardrailSpec
{
    /// <summary><c>pii</c>, <c>prompt_injection</c>, <c>banned_topics</c> or <c>json_repair</c>.</summary>
    public string? Type { get; init; }
    /// <summary>Where it looks: <c>input</c> (what the user says), <c>tool_result</c>, <c>output</c> (what the agent says). The type's own places when absent.</summary>
    public IReadOnlyList<string>? On { get; init; }
    /// <summary><c>block</c>, <c>rewrite</c> or <c>flag</c>; the type's own when absent.</summary>
    public string? Action { get; init; }
    /// <summary><c>pii</c>: kinds to look for; all when absent.</summary>
    public IReadOnlyList<string>? Kinds { get; init; }
    /// <summary><c>banned_topics</c>: what is not to be talked of.</summary>
    public IReadOnlyList<BannedTopic>? Topics { get; init; }
    /// <summary>What the user reads when something is blocked.</summary>
    public string? Message { get; init; }
}

/// <summary>A topic and the words that tell it.</summary>
internal sealed record BannedTopic
{
    public string? Name { get; init; }
    /// <summary>Words or phrases; they match as a whole, whatever their case and accents.</summary>
    public IReadOnlyList<string>? Terms { get; init; }
}

/// <summary>Where a guardrail looks.</summary>
[Flags]
internal enum GuardrailStages
{
    None = 0,
    Input = 1,
    ToolResult = 2,
    Output = 4,
}

/// <summary>What a guardrail does with what it finds.</summary>
internal enum GuardrailAction
{
    /// <summary>Says so in the log.</summary>
    Flag,
    /// <summary>Takes it out of the text.</summary>
    Rewrite,
    /// <summary>Keeps the text from going on.</summary>
    Block,
}

/// <summary>Names as tenants write them and as logs keep them.</summary>
internal static class GuardrailNames
{
    public static string Of(GuardrailAction action) => action switch { GuardrailAction.Block => "block", GuardrailAction.Rewrite => "rewrite", _ => "flag" };

    public static string Of(GuardrailStages stage) => stage switch { GuardrailStages.Input => "input", GuardrailStages.ToolResult => "tool_result", _ => "output" };

    public static GuardrailAction? Action(string? name) => name switch { "block" => GuardrailAction.Block, "rewrite" => GuardrailAction.Rewrite, "flag" => GuardrailAction.Flag, _ => null };

    public static GuardrailStages Stage(string? name) => name switch { "input" => GuardrailStages.Input, "tool_result" => GuardrailStages.ToolResult, "output" => GuardrailStages.Output, _ => GuardrailStages.None };
}
