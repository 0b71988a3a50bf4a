using System.Text;
using System.Text.Json;
using MultiAgent.Models.Dispatch;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Tokens;

namespace MultiAgent.Models.Usage;

/// <summary>Counts tokens where the provider reported none: a stream that was cut, or an endpoint that never does.</summary>
internal static class UsageEstimator
{
    /// <summary>From the request and what has passed of a stream.</summary>
    public static TokenUsage Estimate(ModelCall call, StreamFilter? filter)
    {
        long output = 0;
        if (filter is { TotalBytes: > 0 })
        {
            ReadOnlySpan<byte> kept = filter.Kept;
            output = TokenCounter.Count(TextOfEvents(kept), call.Envelope.Model);
            // Only the beginning of a very long answer was kept.
            if (filter.TotalBytes > kept.Length && kept.Length > 0) output = (long)Math.Ceiling(output * (double)filter.TotalBytes / kept.Length);
        }
        return new TokenUsage(InputTokens(call), output, Estimated: true);
    }

    /// <summary>From the request and a whole JSON answer.</summary>
    public static TokenUsage Estimate(ModelCall call, byte[] answer)
    {
        var text = new StringBuilder();
        try
        {
            using JsonDocument document = JsonDocument.Parse(answer);
            AppendChoices(document.RootElement, "message", text);
        }
        catch (JsonException)
        {
            // Not even JSON inside: count nothing of it.
        }
        return new TokenUsage(InputTokens(call), TokenCounter.Count(text.ToString(), call.Envelope.Model), Estimated: true);
    }

    private static long InputTokens(ModelCall call) => call.Operation == ModelOperation.Chat
        ? TokenCounter.CountChatRequest(call.Body.Span, call.Envelope.Model)
        : TokenCounter.CountEmbeddingsRequest(call.Body.Span, call.Envelope.Model);

    private static string TextOfEvents(ReadOnlySpan<byte> events)
    {
        var text = new StringBuilder();
        foreach (Range line in events.Split((byte)'\n'))
        {
            ReadOnlySpan<byte> data = events[line];
            if (!data.StartsWith("data:"u8)) continue;
            data = data[5..].Trim(" \r"u8);
            if (data.IsEmpty || data[0] != '{') continue;
            try
            {
                var reader = new Utf8JsonReader(data);
                using JsonDocument document = JsonDocument.ParseValue(ref reader);
                AppendChoices(document.RootElement, "delta", text);
            }
            catch (JsonException)
            {
                // the last event that was kept may be half of one
            }
        }
        return text.ToString();
    }

    private static void AppendChoices(JsonElement root, string member, StringBuilder text)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("choices", out JsonElement choices) || choices.ValueKind != JsonValueKind.Array) return;
        foreach (JsonElement choice in choices.EnumerateArray())
        {
            if (choice.ValueKind != JsonValueKind.Object || !choice.TryGetProperty(member, out JsonElement message) || message.ValueKind != JsonValueKind.Object) continue;
            Append(message, "content", text);
            Append(message, "reasoning_content", text);
            Append(message, "refusal", text);
            if (!message.TryGetProperty("tool_calls", out JsonElement calls) || calls.ValueKind != JsonValueKind.Array) continue;
            foreach (JsonElement call in calls.EnumerateArray())
            {
                if (!call.TryGetProperty("function", out JsonElement function) || function.ValueKind != JsonValueKind.Object) continue;
                Append(function, "name", text);
                Append(function, "arguments", text);
            }
        }
    }

    private static void Append(JsonElement element, string member, StringBuilder text)
    {
        if (element.TryGetProperty(member, out JsonElement value) && value.ValueKind == JsonValueKind.String) text.Append(value.GetString());
    }
}
