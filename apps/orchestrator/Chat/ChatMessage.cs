using System.Buffers;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Chat;

/// <summary>Who wrote a message, as far as trimming cares.</summary>
internal enum ChatRole
{
    System,
    User,
    Assistant,
    Tool,
}

/// <summary>A message in the OpenAI dialect that stays bytes: only what trimming has to know is read.</summary>
/// <param name="Json">The message's JSON object.</param>
/// <param name="Role">Who wrote it.</param>
/// <param name="HasToolCalls">It calls tools; the tool messages that follow belong to it.</param>
internal readonly record struct ChatMessage(ReadOnlyMemory<byte> Json, ChatRole Role, bool HasToolCalls = false)
{
    /// <summary>Where it is stored in its conversation; 0 when it is the run's own or not stored.</summary>
    public long Position { get; init; }

    /// <summary>A message of text.</summary>
    public static ChatMessage Of(ChatRole role, string text)
    {
        var buffer = new ArrayBufferWriter<byte>(text.Length + 48);
        using var json = new Utf8JsonWriter(buffer, Orchestrator.Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("role"u8, RoleName(role));
        json.WriteString("content"u8, text);
        json.WriteEndObject();
        json.Flush();
        return new ChatMessage(buffer.WrittenSpan.ToArray(), role);
    }

    /// <summary>The assistant's message: text and calls of tools, of which it has at least one of the two.</summary>
    public static ChatMessage Assistant(ReadOnlySpan<byte> text, IReadOnlyList<ToolCall> calls)
    {
        var buffer = new ArrayBufferWriter<byte>(text.Length + 64 + calls.Count * 128);
        using var json = new Utf8JsonWriter(buffer, Orchestrator.Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("role"u8, "assistant"u8);
        if (text.IsEmpty && calls.Count > 0) json.WriteNull("content"u8);
        else json.WriteString("content"u8, text);
        if (calls.Count > 0)
        {
            json.WritePropertyName("tool_calls"u8);
            ToolCall.Write(json, calls);
        }
        json.WriteEndObject();
        json.Flush();
        return new ChatMessage(buffer.WrittenSpan.ToArray(), ChatRole.Assistant, calls.Count > 0);
    }

    /// <summary>The result of a call.</summary>
    public static ChatMessage ToolResult(string callId, string result)
    {
        var buffer = new ArrayBufferWriter<byte>(result.Length + 96);
        using var json = new Utf8JsonWriter(buffer, Orchestrator.Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("role"u8, "tool"u8);
        json.WriteString("tool_call_id"u8, callId);
        json.WriteString("content"u8, result);
        json.WriteEndObject();
        json.Flush();
        return new ChatMessage(buffer.WrittenSpan.ToArray(), ChatRole.Tool);
    }

    /// <summary>Reads role and calls of a message that was stored or sent.</summary>
    /// <exception cref="FormatException">It is no object with a known role.</exception>
    public static ChatMessage Parse(ReadOnlyMemory<byte> message)
    {
        var reader = new Utf8JsonReader(message.Span);
        ChatRole? role = null;
        bool calls = false;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) throw new FormatException("must be an object.");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("role"u8))
            {
                reader.Read();
                role = reader.TokenType != JsonTokenType.String ? null
                    : reader.ValueTextEquals("user"u8) ? ChatRole.User
                    : reader.ValueTextEquals("assistant"u8) ? ChatRole.Assistant
                    : reader.ValueTextEquals("tool"u8) || reader.ValueTextEquals("function"u8) ? ChatRole.Tool
                    : reader.ValueTextEquals("system"u8) || reader.ValueTextEquals("developer"u8) ? ChatRole.System : null;
            }
            else if (reader.ValueTextEquals("tool_calls"u8))
            {
                reader.Read();
                if (reader.TokenType == JsonTokenType.StartArray)
                {
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.EndArray) continue;
                    calls = true;
                    while (reader.TokenType != JsonTokenType.EndArray)
                    {
                        reader.Skip();
                        reader.Read();
                    }
                }
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        return new ChatMessage(message, role ?? throw new FormatException("has no known 'role'."), calls);
    }

    private static string RoleName(ChatRole role) => role switch
    {
        ChatRole.System => "system",
        ChatRole.User => "user",
        ChatRole.Assistant => "assistant",
        ChatRole.Tool => "tool",
        _ => throw new ArgumentOutOfRangeException(nameof(role)),
    };
}

/// <summary>A call of a tool as a model wrote it.</summary>
/// <param name="Id">The model's id of the call.</param>
/// <param name="Name">The tool's name; may be one that does not exist.</param>
/// <param name="Arguments">Meant to be JSON; may be anything.</param>
internal sealed record ToolCall(string Id, string Name, string Arguments)
{
    /// <summary>Writes calls as the array <c>tool_calls</c> of the OpenAI dialect.</summary>
    public static void Write(Utf8JsonWriter json, IEnumerable<ToolCall> calls)
    {
        json.WriteStartArray();
        foreach (ToolCall call in calls)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, call.Id);
            json.WriteString("type"u8, "function"u8);
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, call.Name);
            json.WriteString("arguments"u8, call.Arguments);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>The arguments with sorted members and no white space, so that equal calls compare equal.</summary>
    public string CanonicalArguments()
    {
        try
        {
            using var document = JsonDocument.Parse(Arguments);
            var buffer = new ArrayBufferWriter<byte>(Arguments.Length + 16);
            using var json = new Utf8JsonWriter(buffer);
            WriteSorted(json, document.RootElement);
            json.Flush();
            return Encoding.UTF8.GetString(buffer.WrittenSpan);
        }
        catch (JsonException)
        {
            return Arguments.Trim();
        }
    }

    private static void WriteSorted(Utf8JsonWriter json, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (JsonProperty property in element.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal))
                {
                    json.WritePropertyName(property.Name);
                    WriteSorted(json, property.Value);
                }
                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                foreach (JsonElement item in element.EnumerateArray()) WriteSorted(json, item);
                json.WriteEndArray();
                break;
            default:
                element.WriteTo(json);
                break;
        }
    }
}
