using System.Text.Json;

namespace MultiAgent.Models.Usage;

/// <summary>Finds the usage that a provider reports in bytes of the OpenAI dialect, without parsing the rest.</summary>
internal static class UsageReader
{
    private static ReadOnlySpan<byte> Member => "\"usage\""u8;

    /// <summary>
    /// The last usage object in <paramref name="json"/>. Inside a JSON string the quotes of <c>"usage":</c> would be
    /// escaped, so what is found is a member.
    /// </summary>
    public static bool TryFindLast(ReadOnlySpan<byte> json, out TokenUsage usage, out int position)
    {
        ReadOnlySpan<byte> rest = json;
        while ((position = rest.LastIndexOf(Member)) >= 0)
        {
            ReadOnlySpan<byte> after = json[(position + Member.Length)..].TrimStart(" \t\r\n"u8);
            if (after.Length > 0 && after[0] == ':')
            {
                after = after[1..].TrimStart(" \t\r\n"u8);
                if (after.Length > 0 && after[0] == '{' && TryParse(after, out usage)) return true;
            }
            rest = rest[..position];
        }
        usage = default;
        return false;
    }

    private static bool TryParse(ReadOnlySpan<byte> json, out TokenUsage usage)
    {
        long input = 0, output = 0, cached = 0, written = 0, reasoning = 0, total = 0;
        bool any = false;
        usage = default;
        var reader = new Utf8JsonReader(json, isFinalBlock: false, default);
        try
        {
            reader.Read();
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.EndObject && reader.CurrentDepth == 0) break;
                if (reader.TokenType != JsonTokenType.PropertyName) continue;
                if (reader.ValueTextEquals("prompt_tokens"u8)) any |= Number(ref reader, ref input);
                else if (reader.ValueTextEquals("completion_tokens"u8)) any |= Number(ref reader, ref output);
                else if (reader.ValueTextEquals("total_tokens"u8)) any |= Number(ref reader, ref total);
                else if (reader.ValueTextEquals("cached_tokens"u8)) Number(ref reader, ref cached);
                else if (reader.ValueTextEquals("cache_write_tokens"u8)) Number(ref reader, ref written);
                else if (reader.ValueTextEquals("reasoning_tokens"u8)) Number(ref reader, ref reasoning);
            }
        }
        catch (JsonException)
        {
            return false;
        }
        if (!any || reader.TokenType != JsonTokenType.EndObject) return false;
        if (input == 0 && output == 0) input = total;
        usage = new TokenUsage(input, output, Math.Min(cached, input), Math.Min(written, input), Math.Min(reasoning, output));
        return true;
    }

    private static bool Number(ref Utf8JsonReader reader, ref long value) =>
        reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out value) && value >= 0;
}
