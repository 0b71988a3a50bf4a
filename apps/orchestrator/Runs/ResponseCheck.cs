using System.Text.Json;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using NJsonSchema.Validation;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Checks a final answer against the agent's response format.</summary>
internal static class ResponseCheck
{
    public const string Invalid = "invalid_response";

    /// <summary>What is wrong; null when the answer fits or nothing was asked. A client's own response_format replaces the agent's.</summary>
    public static string? Problem(CompiledAgent agent, RunInput input, string answer)
    {
        if (agent.ResponseSchema is null || input.Completion?.Sets("response_format") == true) return null;
        try
        {
            using (JsonDocument.Parse(answer))
            {
                // The schema library is lenient about what JSON is.
            }
            ICollection<ValidationError> errors = agent.ResponseSchema.Validate(answer);
            return errors.Count == 0 ? null : string.Join("; ", errors.Take(5).Select(e => $"{e.Kind} at {e.Path}"));
        }
        catch (JsonException)
        {
            return "it is not valid JSON";
        }
    }

    public static ChatMessage Feedback(string problem) => ChatMessage.Of(ChatRole.User,
        $"Your answer does not follow the required JSON schema: {problem}. Answer again with the corrected JSON and nothing else.");
}
