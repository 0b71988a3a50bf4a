using System.Buffers;
using System.Text.Json;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>A chat request of the OpenAI dialect, written as a request to Anthropic's Messages API.</summary>
/// <param name="Body">The request's body.</param>
/// <param name="StructuredTool">Name of the tool whose input is the answer; null when the answer is plain.</param>
internal sealed record AnthropicRequest(ReadOnlyMemory<byte> Body, string? StructuredTool)
{
    private const int DefaultMaxTokens = 4096;
    private const int SmallestThinkingBudget = 1024;

    /// <exception cref="RequestRejectedException">The request asks for what cannot be translated.</exception>
    public static AnthropicRequest Translate(ReadOnlyMemory<byte> body, Deployment deployment, bool stream)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 256 });
            return Translate(document.RootElement, body.Length, deployment, stream);
        }
        // Strings are decoded only here: bytes that are not UTF-8 and lone surrogates come to light late.
        catch (Exception e) when (e is JsonException or InvalidOperationException or ArgumentException)
        {
            throw new RequestRejectedException(OpenAiError.Invalid("The request holds a text that is not valid Unicode, or a member of the wrong type.", null));
        }
    }

    private static AnthropicRequest Translate(JsonElement root, int length, Deployment deployment, bool stream)
    {
        if (root.Whole("n"u8) is > 1) throw new RequestRejectedException(OpenAiError.Unsupported("'n' above 1 is not supported by this model.", "n"));
        var tools = new AnthropicTools(root);
        var buffer = new ArrayBufferWriter<byte>(length + 512);
        using var writer = new Utf8JsonWriter(buffer, OpenAiJson.Writing);
        writer.WriteStartObject();
        writer.WriteString("model", deployment.UpstreamModel);
        if (stream) writer.WriteBoolean("stream", true);

        var messages = new AnthropicMessages(writer, root.Member("messages"u8));
        messages.Write();
        bool jsonObject = root.Member("response_format"u8).Text("type"u8) == "json_object";
        messages.WriteSystem(jsonObject ? "Answer with one JSON object and nothing else: no text around it and no code fence." : null);
        tools.Write(writer, messages.UsedTools);

        long maxTokens = Math.Max(1, root.Whole("max_completion_tokens"u8) ?? root.Whole("max_tokens"u8) ?? deployment.MaxOutputTokens ?? DefaultMaxTokens);
        // A client that sets a limit for another model's longer output gets this model's longest.
        if (deployment.MaxOutputTokens is { } most) maxTokens = Math.Min(maxTokens, most);
        writer.WriteNumber("max_tokens", maxTokens);

        bool thinks = !tools.Forced && !messages.EndsInToolLoopOrPrefill && WriteThinking(writer, root, deployment, maxTokens);
        if (!thinks) WriteSampling(writer, root);
        WriteStop(writer, root.Member("stop"u8));
        if ((root.Text("safety_identifier"u8) ?? root.Text("user"u8)) is { Length: > 0 } user)
        {
            writer.WriteStartObject("metadata");
            writer.WriteString("user_id", user.Length <= 256 ? user : user[..256]);
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        writer.Flush();
        return new AnthropicRequest(buffer.WrittenMemory, tools.StructuredTool);
    }

    private static bool WriteThinking(Utf8JsonWriter writer, JsonElement root, Deployment deployment, long maxTokens)
    {
        if (!deployment.Capabilities.HasFlag(ModelCapabilities.Reasoning)) return false;
        long budget = root.Text("reasoning_effort"u8) switch
        {
            "low" => 2_048,
            "medium" => 8_192,
            "high" => 24_576,
            "xhigh" => 49_152,
            _ => 0,
        };
        // The budget comes out of max_tokens; half is left for the answer.
        budget = Math.Min(budget, maxTokens / 2);
        if (budget < SmallestThinkingBudget) return false;
        writer.WriteStartObject("thinking");
        writer.WriteString("type", "enabled");
        writer.WriteNumber("budget_tokens", budget);
        writer.WriteEndObject();
        return true;
    }

    private static void WriteSampling(Utf8JsonWriter writer, JsonElement root)
    {
        // Newer models refuse both at once; clients that send both usually leave top_p at 1.
        if (root.Number("temperature"u8) is { } temperature) writer.WriteNumber("temperature", Math.Clamp(temperature, 0, 1));
        else if (root.Number("top_p"u8) is { } topP) writer.WriteNumber("top_p", Math.Clamp(topP, 0, 1));
    }

    private static void WriteStop(Utf8JsonWriter writer, JsonElement stop)
    {
        string[] sequences = stop.ValueKind == JsonValueKind.String
            ? [stop.GetString()!]
            : [.. stop.Items().Where(s => s.ValueKind == JsonValueKind.String).Select(s => s.GetString()!)];
        // Anthropic refuses sequences of white space alone.
        sequences = [.. sequences.Where(s => !string.IsNullOrWhiteSpace(s))];
        if (sequences.Length == 0) return;
        writer.WriteStartArray("stop_sequences");
        foreach (string sequence in sequences) writer.WriteStringValue(sequence);
        writer.WriteEndArray();
    }
}
