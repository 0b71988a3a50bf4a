using System.Text.Json;

namespace MultiAgent.Models.Tokens;

/// <summary>Counts the tokens of whole requests, in one pass over the bytes.</summary>
internal static class RequestTokens
{
    // OpenAI's cookbook: each message costs 3 tokens beside its texts, a name 1 more, the start of the answer 3.
    private const int PerMessage = 3;
    private const int PerName = 1;
    private const int PerReply = 3;

    // An image of 1024 x 1024 in high detail, and one in low detail, on the gpt-4o family. The real size is unknown here.
    private const int PerImage = 765;
    private const int PerSmallImage = 85;

    // A rough figure for files and sound, whose length in tokens is not known before they are opened.
    private const int PerOtherPart = 1000;

    // About what the declaration of a function adds to its own texts.
    private const int PerTool = 8;

    public static int CountChat(ReadOnlySpan<byte> body, string model)
    {
        int count = 0;
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return body.Length / 4;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("messages"u8)) count += CountMessages(ref reader, model);
                else if (reader.ValueTextEquals("tools"u8) || reader.ValueTextEquals("functions"u8)) count += CountTools(ref reader, body, model);
                else if (reader.ValueTextEquals("response_format"u8)) count += CountRaw(ref reader, body, model);
                else SkipValue(ref reader);
            }
            return count;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return Math.Max(count, body.Length / 4);
        }
    }

    public static int CountEmbeddings(ReadOnlySpan<byte> body, string model)
    {
        int count = 0;
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return body.Length / 4;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                bool isInput = reader.ValueTextEquals("input"u8);
                if (!isInput)
                {
                    SkipValue(ref reader);
                    continue;
                }
                int depth = 0;
                do
                {
                    reader.Read();
                    if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject) depth++;
                    else if (reader.TokenType is JsonTokenType.EndArray or JsonTokenType.EndObject) depth--;
                    else if (reader.TokenType == JsonTokenType.Number) count++;
                    else if (reader.TokenType == JsonTokenType.String) count += TokenCounter.Count(reader.GetString()!, model);
                }
                while (depth > 0);
            }
            return count;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return Math.Max(count, body.Length / 4);
        }
    }

    private static int CountMessages(ref Utf8JsonReader reader, string model)
    {
        int count = PerReply;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return count;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            count += PerMessage;
            if (reader.TokenType != JsonTokenType.StartObject) continue;
            count += CountMessage(ref reader, model);
        }
        return count;
    }

    private static int CountMessage(ref Utf8JsonReader reader, string model)
    {
        int count = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("content"u8)) count += CountContent(ref reader, model);
            else if (reader.ValueTextEquals("tool_calls"u8)) count += CountStrings(ref reader, model);
            else
            {
                bool isName = reader.ValueTextEquals("name"u8), isRole = reader.ValueTextEquals("role"u8);
                reader.Read();
                if (reader.TokenType == JsonTokenType.String && (isName || isRole))
                    count += TokenCounter.Count(reader.GetString()!, model) + (isName ? PerName : 0);
                else reader.Skip();
            }
        }
        return count;
    }

    private static int CountContent(ref Utf8JsonReader reader, string model)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String) return TokenCounter.Count(reader.GetString()!, model);
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return 0;
        }
        int count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.StartObject) count += CountPart(ref reader, model);
            else reader.Skip();
        }
        return count;
    }

    private static int CountPart(ref Utf8JsonReader reader, string model)
    {
        int text = 0, other = PerOtherPart;
        bool hasText = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("text"u8) || reader.ValueTextEquals("refusal"u8))
            {
                reader.Read();
                hasText = true;
                if (reader.TokenType == JsonTokenType.String) text += TokenCounter.Count(reader.GetString()!, model);
                else reader.Skip();
            }
            else if (reader.ValueTextEquals("image_url"u8))
            {
                other = IsLowDetail(ref reader) ? PerSmallImage : PerImage;
            }
            else
            {
                SkipValue(ref reader);
            }
        }
        return hasText ? text : other;
    }

    private static bool IsLowDetail(ref Utf8JsonReader reader)
    {
        reader.Read();
        bool low = false;
        if (reader.TokenType != JsonTokenType.StartObject) return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isDetail = reader.ValueTextEquals("detail"u8);
            reader.Read();
            if (isDetail && reader.TokenType == JsonTokenType.String) low = reader.ValueTextEquals("low"u8);
            reader.Skip();
        }
        return low;
    }

    /// <summary>All strings inside a value that are values, not names: those of tool calls.</summary>
    private static int CountStrings(ref Utf8JsonReader reader, string model)
    {
        int count = 0, depth = 0;
        do
        {
            reader.Read();
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.StartObject) depth++;
            else if (reader.TokenType is JsonTokenType.EndArray or JsonTokenType.EndObject) depth--;
            else if (reader.TokenType == JsonTokenType.String) count += TokenCounter.Count(reader.GetString()!, model);
        }
        while (depth > 0);
        return count;
    }

    private static int CountTools(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, string model)
    {
        int count = 0;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return 0;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            int start = (int)reader.TokenStartIndex;
            reader.Skip();
            count += PerTool + CountJson(body[start..(int)reader.BytesConsumed], model);
        }
        return count;
    }

    private static int CountRaw(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, string model)
    {
        reader.Read();
        int start = (int)reader.TokenStartIndex;
        reader.Skip();
        return CountJson(body[start..(int)reader.BytesConsumed], model);
    }

    private static int CountJson(ReadOnlySpan<byte> json, string model) => TokenCounter.Count(System.Text.Encoding.UTF8.GetString(json), model);

    private static void SkipValue(ref Utf8JsonReader reader)
    {
        reader.Read();
        reader.Skip();
    }
}
