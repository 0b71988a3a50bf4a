using System.Text.Json;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>A check of a text. Pure: the same text gives the same answer, so that a resumed run comes to the same.</summary>
internal interface IGuardrail
{
    /// <summary>As the agent's definition names it.</summary>
    string Type { get; }

    /// <summary>Looks for what it guards against; null when there is none.</summary>
    /// <param name="text">Untrusted.</param>
    GuardrailHit? Check(string text);
}

/// <summary>What a guardrail has found.</summary>
/// <param name="Found">How often what was found, by kind or topic; never the text itself.</param>
/// <param name="Rewritten">The text without it.</param>
internal sealed record GuardrailHit(IReadOnlyDictionary<string, int> Found, string Rewritten);

/// <summary>A guardrail that has acted, as the log keeps it: what was found is counted, not shown.</summary>
/// <param name="Guardrail">Its type.</param>
/// <param name="Stage">Where it looked.</param>
/// <param name="Action">What it did.</param>
/// <param name="Found">How often what was found.</param>
internal sealed record GuardrailEvent(string Guardrail, GuardrailStages Stage, GuardrailAction Action, IReadOnlyDictionary<string, int> Found)
{
    public static GuardrailEvent Read(JsonElement json) => new(json.GetProperty("guardrail").GetString()!, GuardrailNames.Stage(json.GetProperty("stage").GetString()),
        GuardrailNames.Action(json.GetProperty("action").GetString()) ?? GuardrailAction.Flag, json.GetProperty("found").EnumerateObject().ToDictionary(f => f.Name, f => f.Value.GetInt32()));

    /// <summary>Writes its members.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteString("guardrail"u8, Guardrail);
        json.WriteString("stage"u8, GuardrailNames.Of(Stage));
        json.WriteString("action"u8, GuardrailNames.Of(Action));
        json.WriteStartObject("found"u8);
        foreach ((string what, int count) in Found) json.WriteNumber(what, count);
        json.WriteEndObject();
    }
}
