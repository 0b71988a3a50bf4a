using System.Text.Encodings.Web;
using System.Text.Json;

namespace MultiAgent.Models.Providers;

/// <summary>Pieces of the OpenAI dialect that answers and chunks have in common.</summary>
internal static class OpenAiJson
{
    /// <summary>Text is not escaped for HTML: it would make most languages other than English twice as long.</summary>
    public static readonly JsonWriterOptions Writing = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    public static void WriteUsage(Utf8JsonWriter writer, TokenUsage usage)
    {
        writer.WriteStartObject("usage");
        writer.WriteNumber("prompt_tokens", usage.InputTokens);
        writer.WriteNumber("completion_tokens", usage.OutputTokens);
        writer.WriteNumber("total_tokens", usage.InputTokens + usage.OutputTokens);
        writer.WriteStartObject("prompt_tokens_details");
        writer.WriteNumber("cached_tokens", usage.CachedInputTokens);
        writer.WriteNumber("audio_tokens", 0);
        // Not in OpenAI's dialect: without it, cache writes would be billed at the price of plain input.
        if (usage.CacheWriteTokens > 0) writer.WriteNumber("cache_write_tokens", usage.CacheWriteTokens);
        writer.WriteEndObject();
        writer.WriteStartObject("completion_tokens_details");
        writer.WriteNumber("reasoning_tokens", usage.ReasoningTokens);
        writer.WriteNumber("audio_tokens", 0);
        writer.WriteNumber("accepted_prediction_tokens", 0);
        writer.WriteNumber("rejected_prediction_tokens", 0);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
