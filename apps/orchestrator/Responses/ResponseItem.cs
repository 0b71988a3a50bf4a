using System.Buffers;
using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>An item of a response's output: a message, or a call for the client to make.</summary>
internal sealed class ResponseItem
{
    private readonly ArrayBufferWriter<byte> _text = new(256);

    public required string Id { get; init; }

    /// <summary>Its place in the output.</summary>
    public required int Index { get; init; }

    /// <summary>The call; null for a message.</summary>
    public ToolCall? Call { get; init; }

    /// <summary>Nothing is added to it any more.</summary>
    public bool IsDone { get; set; }

    /// <summary>The message's text so far, UTF-8.</summary>
    public ReadOnlySpan<byte> Text => _text.WrittenSpan;

    public void Append(ReadOnlySpan<byte> text) => _text.Write(text);

    public void Replace(ReadOnlySpan<byte> text)
    {
        _text.ResetWrittenCount();
        _text.Write(text);
    }

    public void Write(Utf8JsonWriter json, string? status = null)
    {
        status ??= IsDone ? "completed" : "incomplete";
        json.WriteStartObject();
        json.WriteString("id"u8, Id);
        if (Call is { } call)
        {
            json.WriteString("type"u8, "function_call"u8);
            json.WriteString("status"u8, status);
            json.WriteString("call_id"u8, call.Id);
            json.WriteString("name"u8, call.Name);
            json.WriteString("arguments"u8, status == "in_progress" ? "" : call.Arguments);
        }
        else
        {
            json.WriteString("type"u8, "message"u8);
            json.WriteString("status"u8, status);
            json.WriteString("role"u8, "assistant"u8);
            json.WriteStartArray("content"u8);
            if (status != "in_progress") WritePart(json, Text);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    public static void WritePart(Utf8JsonWriter json, ReadOnlySpan<byte> text)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, "output_text"u8);
        json.WriteString("text"u8, text);
        json.WriteStartArray("annotations"u8);
        json.WriteEndArray();
        json.WriteStartArray("logprobs"u8);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>The calls in an array of the chat-completions dialect.</summary>
    public static IReadOnlyList<ToolCall> Calls(JsonElement array) => [.. array.EnumerateArray().Select(c => new ToolCall(
        c.GetProperty("id").GetString()!, c.GetProperty("function").GetProperty("name").GetString()!, c.GetProperty("function").GetProperty("arguments").GetString()!))];
}
