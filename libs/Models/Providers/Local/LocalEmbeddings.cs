using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using MultiAgent.Models.Tokens;

namespace MultiAgent.Models.Providers.Local;

/// <summary>
/// Embeddings by feature hashing: words, pairs of words and pieces of words each add to one place of the vector. Texts
/// that share words lie near each other; meaning beyond the words is not known.
/// </summary>
internal static class LocalEmbeddings
{
    public const int DefaultDimensions = 256;
    private const int MaxDimensions = 4096;
    private const int MaxInputs = 2048;

    public static CannedResponse Answer(JsonElement root, string model)
    {
        List<(string Text, int Tokens)> inputs = ReadInputs(root.Member("input"u8), model);
        int dimensions = DefaultDimensions;
        if (root.Member("dimensions"u8).IsDefined())
        {
            if (root.Whole("dimensions"u8) is not (>= 1 and <= MaxDimensions and long asked)) throw Invalid($"'dimensions' must be a whole number from 1 to {MaxDimensions}.", "dimensions");
            dimensions = (int)asked;
        }
        bool base64 = root.Text("encoding_format"u8) switch
        {
            "base64" => true,
            "float" or null => false,
            _ => throw Invalid("'encoding_format' must be float or base64.", "encoding_format"),
        };
        return Write(inputs, dimensions, base64, model);
    }

    /// <summary>The vector of a text, of length 1.</summary>
    public static float[] Embed(string text, int dimensions)
    {
        float[] vector = new float[dimensions];
        string? previous = null;
        foreach (string word in LocalText.Words(text))
        {
            Add(vector, word, 1f);
            if (previous is not null) Add(vector, $"{previous} {word}", 0.5f);
            string framed = $"<{word}>";
            for (int i = 0; i + 3 <= framed.Length && word.Length > 3; i++) Add(vector, framed.AsSpan(i, 3), 0.3f);
            previous = word;
        }
        if (Array.TrueForAll(vector, v => v == 0))
        {
            // No words at all, e.g. punctuation: still a vector of length 1, and still the text's own.
            Add(vector, text, 1f);
        }
        double square = 0;
        foreach (float value in vector) square += (double)value * value;
        float scale = (float)(1 / Math.Sqrt(square));
        for (int i = 0; i < vector.Length; i++) vector[i] *= scale;
        return vector;
    }

    private static void Add(float[] vector, ReadOnlySpan<char> feature, float weight)
    {
        // FNV-1a with a final mix: stable between processes and versions, which string.GetHashCode is not.
        ulong hash = 14695981039346656037;
        foreach (char c in feature) hash = (hash ^ c) * 1099511628211;
        hash ^= hash >> 32;
        hash *= 0x9E3779B97F4A7C15;
        hash ^= hash >> 29;
        vector[(int)(hash % (ulong)vector.Length)] += (hash >> 63) == 0 ? weight : -weight;
    }

    private static List<(string Text, int Tokens)> ReadInputs(JsonElement input, string model)
    {
        List<(string, int)> inputs = input.ValueKind switch
        {
            JsonValueKind.String => [ReadInput(input, "input", model)],
            JsonValueKind.Array when input.GetArrayLength() is 0 or > MaxInputs && !IsTokens(input) => throw Invalid($"'input' must hold from 1 to {MaxInputs} texts.", "input"),
            JsonValueKind.Array when IsTokens(input) => [ReadInput(input, "input", model)],
            JsonValueKind.Array => [.. input.EnumerateArray().Select((each, i) => ReadInput(each, $"input[{i}]", model))],
            _ => throw Invalid("'input' must be a text, an array of texts, or an array of token ids.", "input"),
        };
        return inputs;
    }

    private static (string, int) ReadInput(JsonElement input, string path, string model)
    {
        if (input.ValueKind == JsonValueKind.String)
        {
            string text = input.GetString()!;
            return text.Length > 0 ? (text, TokenCounter.Count(text, model)) : throw Invalid($"'{path}' must not be empty.", path);
        }
        if (!IsTokens(input)) throw Invalid($"'{path}' must be a text or an array of token ids, not empty.", path);
        int[] tokens = [.. input.EnumerateArray().Select(t => t.ValueKind == JsonValueKind.Number && t.TryGetInt32(out int id) && id >= 0 ? id : throw Invalid($"'{path}' holds what is no token id.", path))];
        return TokenCounter.Decode(tokens) is { Length: > 0 } decoded ? (decoded, tokens.Length) : throw Invalid($"'{path}' holds a token id that is not in the vocabulary.", path);
    }

    private static bool IsTokens(JsonElement input) =>
        input.ValueKind == JsonValueKind.Array && input.GetArrayLength() > 0 && input[0].ValueKind == JsonValueKind.Number;

    private static CannedResponse Write(List<(string Text, int Tokens)> inputs, int dimensions, bool base64, string model)
    {
        var buffer = new ArrayBufferWriter<byte>(inputs.Count * dimensions * 12);
        using var writer = new Utf8JsonWriter(buffer, OpenAiJson.Writing);
        writer.WriteStartObject();
        writer.WriteString("object", "list");
        writer.WriteStartArray("data");
        for (int i = 0; i < inputs.Count; i++)
        {
            writer.WriteStartObject();
            writer.WriteString("object", "embedding");
            writer.WriteNumber("index", i);
            writer.WritePropertyName("embedding");
            WriteVector(writer, Embed(inputs[i].Text, dimensions), base64);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteString("model", model);
        long tokens = inputs.Sum(i => (long)i.Tokens);
        writer.WriteStartObject("usage");
        writer.WriteNumber("prompt_tokens", tokens);
        writer.WriteNumber("total_tokens", tokens);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.Flush();
        return new CannedResponse(200, buffer.WrittenMemory, usage: new TokenUsage(tokens, 0));
    }

    private static void WriteVector(Utf8JsonWriter writer, float[] vector, bool base64)
    {
        if (base64)
        {
            byte[] bytes = new byte[vector.Length * sizeof(float)];
            for (int i = 0; i < vector.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
            writer.WriteBase64StringValue(bytes);
            return;
        }
        writer.WriteStartArray();
        foreach (float value in vector) writer.WriteNumberValue(value);
        writer.WriteEndArray();
    }

    private static RequestRejectedException Invalid(string message, string param) => new(OpenAiError.Invalid(message, param));
}
