using System.Globalization;
using System.Text.Json;
using MultiAgent.Models;

namespace MultiAgent.Orchestrator.Runs.Graphs;

/// <summary>Reads members of events that may be missing.</summary>
internal static class EventReading
{
    public static string? Text(this in JsonElement root, string name) => root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    public static DateTimeOffset? Time(this in JsonElement root, string name) =>
        root.Text(name) is { } text && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time) ? time : null;

    public static long Number(this in JsonElement root, string name) => root.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : 0;

    /// <summary>The error that an event tells of.</summary>
    public static RunErrorView Error(this in JsonElement root) => new(root.Text("code") ?? "", root.Text("message") ?? "");

    public static TokenUsage Usage(this in JsonElement usage) => new(usage.Number("inputTokens"), usage.Number("outputTokens"), CachedInputTokens: usage.Number("cachedInputTokens"),
        ReasoningTokens: usage.Number("reasoningTokens"), Estimated: usage.TryGetProperty("estimated", out _));

    /// <summary>US dollars; null when unknown.</summary>
    public static decimal? Cost(this in JsonElement usage) => usage.TryGetProperty("costUsd", out JsonElement cost) && cost.ValueKind == JsonValueKind.Number ? cost.GetDecimal() : null;
}
