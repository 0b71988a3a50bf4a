using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Conversations.Compaction;

/// <summary>Messages as text for the model that summarises them: it is to read calls of tools, and not to go on with them.</summary>
internal static class Transcript
{
    private const int MaxResult = 4000;
    private const int MaxArguments = 1000;

    /// <summary>One message.</summary>
    public static string Of(in ChatMessage message)
    {
        using var document = JsonDocument.Parse(message.Json, new JsonDocumentOptions { MaxDepth = 1000 });
        JsonElement root = document.RootElement;
        var text = new StringBuilder();
        string content = Content(root);
        if (message.Role == ChatRole.Tool) text.Append("result: ").Append(Cut(content, MaxResult));
        else if (content.Length > 0) text.Append(message.Role == ChatRole.User ? "user: " : "assistant: ").Append(content);
        if (root.TryGetProperty("tool_calls", out JsonElement calls) && calls.ValueKind == JsonValueKind.Array)
            foreach (JsonElement call in calls.EnumerateArray())
                if (call.ValueKind == JsonValueKind.Object && call.TryGetProperty("function", out JsonElement function) && function.ValueKind == JsonValueKind.Object)
                    text.Append(text.Length > 0 ? "\n" : "").Append("assistant called ").Append(Text(function, "name")).Append(": ").Append(Cut(Text(function, "arguments"), MaxArguments));
        return text.ToString();
    }

    private static string Content(JsonElement root)
    {
        if (!root.TryGetProperty("content", out JsonElement content)) return "";
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        if (content.ValueKind != JsonValueKind.Array) return "";
        return string.Join('\n', content.EnumerateArray().Where(p => p.ValueKind == JsonValueKind.Object).Select(part => part.TryGetProperty("text", out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString()! : $"[{Text(part, "type")}]"));
    }

    private static string Text(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    private static string Cut(string text, int max) => text.Length <= max ? text : $"{text.AsSpan(0, char.IsHighSurrogate(text[max - 1]) ? max - 1 : max)} [cut]";
}
