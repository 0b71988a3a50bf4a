using System.Text;
using System.Text.Json.Nodes;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Responses;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Guardrails;

/// <summary>What guardrails made of what a run was asked.</summary>
/// <param name="Blocked">What the user reads, when the run is not to ask the model at all.</param>
/// <param name="Events">Guardrails that have acted.</param>
internal sealed record InputVerdict(string? Blocked, IReadOnlyList<GuardrailEvent> Events);

/// <summary>Checks what a user says before the run is accepted: what is taken out is nowhere stored.</summary>
internal static class InputGuard
{
    /// <summary>The input as it goes on.</summary>
    public static RunInput Apply(CompiledAgent agent, RunInput input)
    {
        if (!agent.Guardrails.LooksAt(GuardrailStages.Input | GuardrailStages.ToolResult)) return input;
        var events = new List<GuardrailEvent>();
        string? blocked = null;
        if (input.Message is { } message) input = input with { Message = Check(GuardrailStages.Input, message) };
        else if (input.Response is { } response) input = Replace(input, ResponseRequest.Parse(Rewrite(response.Body, "input")));
        else if (input.Completion is { } completion) input = input with { Completion = CompletionInput.Parse(Rewrite(completion.Body, "messages")) };
        return events.Count == 0 ? input : input with { Verdict = new InputVerdict(blocked, events) };

        string Check(GuardrailStages stage, string text)
        {
            Guarded guarded = agent.Guardrails.Apply(stage, text);
            events.AddRange(guarded.Events);
            // A result that is kept back is no reason to refuse what the user asks.
            if (stage == GuardrailStages.Input) blocked ??= guarded.Blocked;
            return guarded.Blocked is null ? guarded.Text : "[withheld]";
        }

        byte[] Rewrite(ReadOnlyMemory<byte> body, string member)
        {
            JsonNode request = JsonNode.Parse(body.Span, documentOptions: new() { MaxDepth = 1000 })!;
            if (request[member] is JsonValue value && value.TryGetValue(out string? whole)) request[member] = Check(GuardrailStages.Input, whole);
            foreach (JsonObject item in (request[member] as JsonArray ?? []).OfType<JsonObject>())
            {
                if (Is(item, "role", "user")) Texts(GuardrailStages.Input, item, "content");
                else if (Is(item, "role", "tool")) Texts(GuardrailStages.ToolResult, item, "content");
                else if (Is(item, "type", "function_call_output")) Texts(GuardrailStages.ToolResult, item, "output");
            }
            return Encoding.UTF8.GetBytes(request.ToJsonString());
        }

        void Texts(GuardrailStages stage, JsonObject item, string member)
        {
            if (item[member] is JsonValue value && value.TryGetValue(out string? text)) item[member] = Check(stage, text);
            foreach (JsonObject part in (item[member] as JsonArray ?? []).OfType<JsonObject>())
                if (part["text"] is JsonValue words && words.TryGetValue(out string? said)) part["text"] = Check(stage, said);
        }
    }

    private static bool Is(JsonObject item, string member, string value) => item[member] is JsonValue node && node.TryGetValue(out string? text) && text == value;

    private static RunInput Replace(RunInput input, ResponseRequest response) => input with { Response = response, Completion = response.Completion };
}
