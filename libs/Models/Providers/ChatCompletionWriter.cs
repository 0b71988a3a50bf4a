using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Models.Providers;

/// <summary>A tool call in an answer; the arguments are a text that should be, but need not be, JSON.</summary>
internal sealed record ToolCall(string Id, string Name, string Arguments);

/// <summary>One choice of an answer.</summary>
internal sealed record ChatChoice(string? Content, IReadOnlyList<ToolCall> ToolCalls, string FinishReason);

/// <summary>Writes a whole <c>chat.completion</c>.</summary>
internal static class ChatCompletionWriter
{
    public static byte[] Write(string id, long created, string model, IReadOnlyList<ChatChoice> choices, TokenUsage usage)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var writer = new Utf8JsonWriter(buffer, OpenAiJson.Writing);
        writer.WriteStartObject();
        writer.WriteString("id", id);
        writer.WriteString("object", "chat.completion");
        writer.WriteNumber("created", created);
        writer.WriteString("model", model);
        writer.WriteStartArray("choices");
        for (int i = 0; i < choices.Count; i++) WriteChoice(writer, i, choices[i]);
        writer.WriteEndArray();
        OpenAiJson.WriteUsage(writer, usage);
        writer.WriteNull("system_fingerprint");
        writer.WriteEndObject();
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteChoice(Utf8JsonWriter writer, int index, ChatChoice choice)
    {
        writer.WriteStartObject();
        writer.WriteNumber("index", index);
        writer.WriteStartObject("message");
        writer.WriteString("role", "assistant");
        writer.WriteString("content", choice.Content);
        writer.WriteNull("refusal");
        writer.WriteStartArray("annotations");
        writer.WriteEndArray();
        if (choice.ToolCalls.Count > 0)
        {
            writer.WriteStartArray("tool_calls");
            foreach (ToolCall call in choice.ToolCalls)
            {
                writer.WriteStartObject();
                writer.WriteString("id", call.Id);
                writer.WriteString("type", "function");
                writer.WriteStartObject("function");
                writer.WriteString("name", call.Name);
                writer.WriteString("arguments", call.Arguments);
                writer.WriteEndObject();
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
        writer.WriteNull("logprobs");
        writer.WriteString("finish_reason", choice.FinishReason);
        writer.WriteEndObject();
    }
}
