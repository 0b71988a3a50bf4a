using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>How a run ended: its final row and its last message.</summary>
internal sealed record RunOutcome(RunRecord Run, FinalMessage? Message);

/// <summary>The last message of a run, as its event <c>message.completed</c> tells it.</summary>
internal sealed record FinalMessage
{
    public required string Id { get; init; }

    /// <summary>UTF-8.</summary>
    public required ReadOnlyMemory<byte> Text { get; init; }

    /// <summary>Calls for the client to make: a JSON array in the OpenAI dialect; empty when there are none.</summary>
    public ReadOnlyMemory<byte> ToolCalls { get; init; }

    /// <summary>The model that wrote it; null when the platform did.</summary>
    public string? Model { get; init; }

    public required string FinishReason { get; init; }

    /// <summary>From the event's data.</summary>
    public static FinalMessage Parse(byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement;
        return new FinalMessage
        {
            Id = root.GetProperty("messageId").GetString()!,
            Text = Encoding.UTF8.GetBytes(root.GetProperty("text").GetString()!),
            ToolCalls = root.TryGetProperty("toolCalls", out JsonElement calls) ? Encoding.UTF8.GetBytes(calls.GetRawText()) : default,
            Model = root.TryGetProperty("model", out JsonElement model) ? model.GetString() : null,
            FinishReason = root.GetProperty("finishReason").GetString()!,
        };
    }
}
