using System.Text;
using System.Text.Json;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>
/// Writes the conversation as Anthropic wants it: the system text apart, roles in turn beginning with the user, no empty
/// blocks, and the results of tools first in the user turn that follows their calls.
/// </summary>
internal sealed class AnthropicMessages(Utf8JsonWriter writer, JsonElement messages)
{
    private readonly List<JsonElement> _system = [];
    private readonly HashSet<string> _usedTools = [];
    private string? _openRole;
    private bool _afterSystemOnly;

    /// <summary>Names of the tools that were called in the conversation.</summary>
    public IReadOnlyCollection<string> UsedTools => _usedTools;

    /// <summary>The last turn is not a plain user turn: thinking blocks, which the OpenAI dialect does not carry, would be missed.</summary>
    public bool EndsInToolLoopOrPrefill { get; private set; }

    public void Write()
    {
        if (messages.ValueKind != JsonValueKind.Array) throw Invalid("'messages' must be an array.", "messages");
        writer.WriteStartArray("messages");
        int count = messages.GetArrayLength();
        for (int i = 0; i < count; i++) WriteMessage(messages[i], i, last: i == count - 1);
        if (_openRole is null) WriteSystemAsUser();
        CloseTurn();
        writer.WriteEndArray();
    }

    /// <summary>Writes <c>system</c>; to be called after <see cref="Write"/>.</summary>
    /// <param name="instruction">A sentence to add, or null.</param>
    public void WriteSystem(string? instruction)
    {
        if ((_system.Count == 0 || _afterSystemOnly) && instruction is null) return;
        writer.WriteStartArray("system");
        if (!_afterSystemOnly) foreach (JsonElement content in _system) WriteTextBlocks(content, "messages");
        if (instruction is not null) WriteText(instruction);
        writer.WriteEndArray();
    }

    private void WriteMessage(JsonElement message, int index, bool last)
    {
        string path = $"messages[{index}]";
        JsonElement content = message.Member("content"u8);
        string? role = message.Text("role"u8);
        switch (role)
        {
            case "system" or "developer":
                if (HasText(content)) _system.Add(content);
                return;
            case "user":
                WriteUser(content, path);
                break;
            case "assistant":
                WriteAssistant(message, content, path, last);
                break;
            case "tool":
                WriteToolResult(message, content, path);
                break;
            default:
                throw Invalid($"'{path}.role' must be system, developer, user, assistant or tool.", $"{path}.role");
        }
        EndsInToolLoopOrPrefill = role != "user";
    }

    private void WriteUser(JsonElement content, string path)
    {
        if (content.ValueKind == JsonValueKind.String)
        {
            if (HasText(content)) { Turn("user"); WriteText(content.GetString()!); }
            return;
        }
        int index = 0;
        foreach (JsonElement part in content.Items())
        {
            string partPath = $"{path}.content[{index++}]";
            switch (part.Text("type"u8))
            {
                case "text":
                    if (string.IsNullOrWhiteSpace(part.Text("text"u8))) break;
                    Turn("user");
                    WriteTextPart(part);
                    break;
                case "image_url":
                    Turn("user");
                    WriteImage(part, partPath);
                    break;
                case "file":
                    Turn("user");
                    WriteFile(part, partPath);
                    break;
                case { } type:
                    throw new RequestRejectedException(OpenAiError.Unsupported($"Content of type '{type}' is not supported by this model.", partPath));
                default:
                    throw Invalid($"'{partPath}' has no type.", partPath);
            }
        }
    }

    private void WriteAssistant(JsonElement message, JsonElement content, string path, bool last)
    {
        if (HasText(content))
        {
            Turn("assistant");
            // A prefilled answer must not end in white space, or Anthropic refuses it.
            if (content.ValueKind == JsonValueKind.String) WriteText(last ? content.GetString()!.TrimEnd() : content.GetString()!);
            else WriteTextBlocks(content, path);
        }
        foreach (JsonElement call in message.Member("tool_calls"u8).Items())
        {
            JsonElement function = call.Member("function"u8);
            if (function.Text("name"u8) is not { Length: > 0 } name) throw Invalid("A tool call needs a function with a name.", $"{path}.tool_calls");
            Turn("assistant");
            _usedTools.Add(name);
            writer.WriteStartObject();
            writer.WriteString("type", "tool_use");
            writer.WriteString("id", ToolId(call.Text("id"u8)));
            writer.WriteString("name", name);
            writer.WritePropertyName("input");
            WriteArguments(function.Text("arguments"u8) ?? "");
            writer.WriteEndObject();
        }
    }

    /// <summary>Models make mistakes in JSON, and the client sends them back to us: such a text is wrapped, not refused.</summary>
    private void WriteArguments(string arguments)
    {
        if (!string.IsNullOrWhiteSpace(arguments))
        {
            try
            {
                using JsonDocument parsed = JsonDocument.Parse(arguments);
                if (parsed.RootElement.ValueKind == JsonValueKind.Object)
                {
                    parsed.RootElement.WriteTo(writer);
                    return;
                }
            }
            catch (JsonException)
            {
                // Falls through to the wrapper.
            }
        }
        writer.WriteStartObject();
        if (!string.IsNullOrWhiteSpace(arguments)) writer.WriteString("invalid_arguments", arguments);
        writer.WriteEndObject();
    }

    private void WriteToolResult(JsonElement message, JsonElement content, string path)
    {
        if (message.Text("tool_call_id"u8) is not { } id) throw Invalid($"'{path}.tool_call_id' is required.", $"{path}.tool_call_id");
        Turn("user");
        writer.WriteStartObject();
        writer.WriteString("type", "tool_result");
        writer.WriteString("tool_use_id", ToolId(id));
        if (HasText(content))
        {
            writer.WriteStartArray("content");
            WriteTextBlocks(content, path);
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    private void WriteTextBlocks(JsonElement content, string path)
    {
        if (content.ValueKind == JsonValueKind.String)
        {
            WriteText(content.GetString()!);
            return;
        }
        foreach (JsonElement part in content.Items())
        {
            string? type = part.Text("type"u8);
            if (type is not ("text" or "refusal")) throw new RequestRejectedException(OpenAiError.Unsupported($"Content of type '{type}' is not supported here.", path));
            if (type == "refusal") WriteText(part.Text("refusal"u8) ?? "");
            else if (!string.IsNullOrWhiteSpace(part.Text("text"u8))) WriteTextPart(part);
        }
    }

    private void WriteText(string text)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", text);
        writer.WriteEndObject();
    }

    private void WriteTextPart(JsonElement part)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", part.Text("text"u8));
        // Clients that know Anthropic mark what to cache in this way.
        if (part.Member("cache_control"u8) is { ValueKind: JsonValueKind.Object } cache)
        {
            writer.WritePropertyName("cache_control");
            cache.WriteTo(writer);
        }
        writer.WriteEndObject();
    }

    private void WriteImage(JsonElement part, string path)
    {
        JsonElement image = part.Member("image_url"u8);
        string url = (image.ValueKind == JsonValueKind.String ? image.GetString() : image.Text("url"u8)) ?? "";
        writer.WriteStartObject();
        writer.WriteString("type", "image");
        WriteSource(url, $"{path}.image_url");
        writer.WriteEndObject();
    }

    private void WriteFile(JsonElement part, string path)
    {
        string data = part.Member("file"u8).Text("file_data"u8) ?? "";
        if (!data.StartsWith("data:application/pdf;base64,", StringComparison.OrdinalIgnoreCase))
            throw new RequestRejectedException(OpenAiError.Unsupported("Only PDF files as data URLs are supported by this model.", $"{path}.file"));
        writer.WriteStartObject();
        writer.WriteString("type", "document");
        WriteSource(data, $"{path}.file");
        writer.WriteEndObject();
    }

    private void WriteSource(string url, string path)
    {
        writer.WriteStartObject("source");
        int comma = url.IndexOf(',');
        if (url.StartsWith("data:", StringComparison.OrdinalIgnoreCase) && comma > 0 && url.AsSpan(5, comma - 5).EndsWith(";base64", StringComparison.OrdinalIgnoreCase))
        {
            writer.WriteString("type", "base64");
            writer.WriteString("media_type", url.AsSpan(5, url.IndexOf(';') - 5));
            writer.WriteString("data", url.AsSpan(comma + 1));
        }
        else if (url.StartsWith("https://", StringComparison.OrdinalIgnoreCase) || url.StartsWith("http://", StringComparison.OrdinalIgnoreCase))
        {
            writer.WriteString("type", "url");
            writer.WriteString("url", url);
        }
        else
        {
            throw Invalid("The URL must be http, https, or data with base64.", path);
        }
        writer.WriteEndObject();
    }

    private void WriteSystemAsUser()
    {
        if (_system.Count == 0) throw Invalid("'messages' holds no content.", "messages");
        _afterSystemOnly = true;
        Turn("user");
        foreach (JsonElement content in _system) WriteTextBlocks(content, "messages");
    }

    private void Turn(string role)
    {
        if (_openRole == role) return;
        bool first = _openRole is null;
        CloseTurn();
        if (first && role == "assistant")
        {
            OpenTurn("user");
            WriteText("Continue.");
            CloseTurn();
        }
        OpenTurn(role);
    }

    private void OpenTurn(string role)
    {
        writer.WriteStartObject();
        writer.WriteString("role", role);
        writer.WriteStartArray("content");
        _openRole = role;
    }

    private void CloseTurn()
    {
        if (_openRole is null) return;
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static bool HasText(JsonElement content) => content.ValueKind switch
    {
        JsonValueKind.String => !string.IsNullOrWhiteSpace(content.GetString()),
        JsonValueKind.Array => content.EnumerateArray().Any(p => !string.IsNullOrWhiteSpace(p.Text("text"u8) ?? p.Text("refusal"u8))),
        _ => false,
    };

    /// <summary>Anthropic takes letters, digits, dash and underscore; ids of other providers may hold more.</summary>
    private static string ToolId(string? id)
    {
        if (string.IsNullOrEmpty(id)) return "call";
        var clean = new StringBuilder(id.Length);
        foreach (char c in id) clean.Append(char.IsAsciiLetterOrDigit(c) || c is '-' or '_' ? c : '_');
        return clean.ToString();
    }

    private static RequestRejectedException Invalid(string message, string param) => new(OpenAiError.Invalid(message, param));
}
