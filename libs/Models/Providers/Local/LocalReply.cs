using System.Text;
using System.Text.Json;

namespace MultiAgent.Models.Providers.Local;

/// <summary>Makes the local model's answer to a conversation: tool calls or a text, the same for the same request.</summary>
internal static class LocalReply
{
    private const int MaxResultLength = 400;
    private const int MaxPairs = 12;

    /// <param name="seed">Makes the ids of tool calls; taken from the request so that they differ from turn to turn.</param>
    public static ChatChoice Make(LocalConversation conversation, string seed)
    {
        List<LocalTool> tools = LocalToolChooser.Choose(conversation);
        if (tools.Count > 0)
        {
            List<ToolCall> calls = [.. tools.Select((tool, i) => new ToolCall($"call_{seed}{i}", tool.Name, Arguments(tool, conversation.Question)))];
            return new ChatChoice(null, calls, "tool_calls");
        }
        string text = Text(conversation);
        return new ChatChoice(conversation.Format switch
        {
            "json_schema" => new SchemaFiller(conversation.Schema, new Evidence(EvidenceText(conversation), text), onlyWithEvidence: false).Fill(),
            "json_object" => JsonObject(text),
            _ => text,
        }, [], "stop");
    }

    private static string Arguments(LocalTool tool, string question) =>
        tool.Parameters.ValueKind == JsonValueKind.Object ? new SchemaFiller(tool.Parameters, new Evidence(question, null), onlyWithEvidence: true).Fill() : "{}";

    private static string Text(LocalConversation conversation)
    {
        string question = conversation.Question;
        bool vietnamese = LocalText.IsVietnamese(question);
        if (conversation.FreshResults.Any()) return string.Join(" ", conversation.FreshResults.Select(r => Result(r, question, vietnamese)));
        if (LocalReplyTexts.AsksWhoIAm(question)) return LocalReplyTexts.WhoIAm(vietnamese);
        int last = conversation.Messages.FindLastIndex(m => m.Role == "user");
        IEnumerable<LocalMessage> sources = conversation.Messages.Where((_, i) => i != last);
        return LocalExtractor.Answer(question, sources) ?? LocalReplyTexts.NothingFound(vietnamese);
    }

    private static string EvidenceText(LocalConversation conversation) =>
        conversation.FreshResults.Any() ? $"{conversation.Question}\n{string.Join('\n', conversation.FreshResults.Select(r => r.Text))}" : conversation.Question;

    private static string Result(LocalMessage result, string question, bool vietnamese)
    {
        string tool = result.ToolName ?? "tool";
        string value = Readable(result.Text.Trim(), out bool failed);
        if (value.Length > MaxResultLength)
            value = LocalExtractor.Answer(question, [result with { Text = value }]) ?? string.Join(" ", LocalText.Sentences(value).Take(2));
        if (value.Length > 2 * MaxResultLength) value = value[..(2 * MaxResultLength)].TrimEnd() + " …";
        string sentence = failed ? LocalReplyTexts.Failed(tool, value, vietnamese) : LocalReplyTexts.Result(tool, value, vietnamese);
        return sentence[^1] is '.' or '!' or '?' or '…' ? sentence : sentence + ".";
    }

    /// <summary>JSON as words: a lone value as it is, members as <c>name: value</c>.</summary>
    private static string Readable(string text, out bool failed)
    {
        failed = text.StartsWith("error", StringComparison.OrdinalIgnoreCase);
        if (text.Length == 0) return "empty";
        if (text[0] is not ('{' or '[' or '"')) return text;
        try
        {
            using JsonDocument document = JsonDocument.Parse(text);
            failed = document.RootElement.Member("error"u8).IsDefined();
            var pairs = new List<(string Name, string Value)>();
            Flatten(document.RootElement, "", pairs);
            return pairs.Count switch
            {
                0 => "empty",
                1 => pairs[0].Value,
                _ => string.Join(", ", pairs.Select(p => p.Name.Length > 0 ? $"{p.Name}: {p.Value}" : p.Value)),
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return text;
        }
    }

    private static void Flatten(JsonElement value, string name, List<(string Name, string Value)> pairs)
    {
        if (pairs.Count >= MaxPairs) return;
        if (value.ValueKind == JsonValueKind.Object) foreach (JsonProperty member in value.EnumerateObject()) Flatten(member.Value, member.Name, pairs);
        else if (value.ValueKind == JsonValueKind.Array) foreach (JsonElement item in value.EnumerateArray()) Flatten(item, name, pairs);
        else if (value.ValueKind != JsonValueKind.Null) pairs.Add((name, value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText()));
    }

    private static string JsonObject(string text)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, OpenAiJson.Writing))
        {
            writer.WriteStartObject();
            writer.WriteString("answer", text);
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
