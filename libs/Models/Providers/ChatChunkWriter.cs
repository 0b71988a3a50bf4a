using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Models.Providers;

/// <summary>
/// Writes a stream of <c>chat.completion.chunk</c> events in the order that clients expect: role, deltas, finish, usage,
/// <c>[DONE]</c>. One instance serves one stream.
/// </summary>
internal sealed class ChatChunkWriter(IBufferWriter<byte> output, string id, long created, string model, bool includeUsage) : IDisposable
{
    private readonly Utf8JsonWriter _writer = new(output, OpenAiJson.Writing);

    /// <summary>The first chunk of a choice that begins with text.</summary>
    public void Role(int choice)
    {
        Begin(choice);
        _writer.WriteString("role", "assistant");
        _writer.WriteString("content", "");
        _writer.WriteNull("refusal");
        End(null);
    }

    public void Content(int choice, ReadOnlySpan<char> text)
    {
        Begin(choice);
        _writer.WriteString("content", text);
        End(null);
    }

    /// <summary>The first piece of a tool call; on the first chunk of a choice it carries the role as well.</summary>
    public void ToolCall(int choice, int index, string callId, string name, bool withRole)
    {
        Begin(choice);
        if (withRole)
        {
            _writer.WriteString("role", "assistant");
            _writer.WriteNull("content");
            _writer.WriteNull("refusal");
        }
        _writer.WriteStartArray("tool_calls");
        _writer.WriteStartObject();
        _writer.WriteNumber("index", index);
        _writer.WriteString("id", callId);
        _writer.WriteString("type", "function");
        _writer.WriteStartObject("function");
        _writer.WriteString("name", name);
        _writer.WriteString("arguments", "");
        EndToolCall();
    }

    public void ToolArguments(int choice, int index, ReadOnlySpan<char> piece)
    {
        Begin(choice);
        _writer.WriteStartArray("tool_calls");
        _writer.WriteStartObject();
        _writer.WriteNumber("index", index);
        _writer.WriteStartObject("function");
        _writer.WriteString("arguments", piece);
        EndToolCall();
    }

    public void Finish(int choice, string reason)
    {
        Begin(choice);
        End(reason);
    }

    /// <summary>The usage chunk, which has no choices, and the end of the stream.</summary>
    public void Done(TokenUsage usage)
    {
        Head();
        _writer.WriteEndArray();
        OpenAiJson.WriteUsage(_writer, usage);
        EndEvent();
        output.Write("data: [DONE]\n\n"u8);
    }

    /// <summary>An error instead of the rest; no <c>[DONE]</c> follows.</summary>
    public void Error(OpenAiError error)
    {
        output.Write("data: "u8);
        _writer.Reset(output);
        error.Write(_writer);
        _writer.Flush();
        output.Write("\n\n"u8);
    }

    /// <summary>A comment, which clients skip: it shows that the connection lives while the model is silent.</summary>
    public void KeepAlive() => output.Write(": ping\n\n"u8);

    public void Dispose() => _writer.Dispose();

    private void Head()
    {
        output.Write("data: "u8);
        _writer.Reset(output);
        _writer.WriteStartObject();
        _writer.WriteString("id", id);
        _writer.WriteString("object", "chat.completion.chunk");
        _writer.WriteNumber("created", created);
        _writer.WriteString("model", model);
        _writer.WriteStartArray("choices");
    }

    private void Begin(int choice)
    {
        Head();
        _writer.WriteStartObject();
        _writer.WriteNumber("index", choice);
        _writer.WriteStartObject("delta");
    }

    private void EndToolCall()
    {
        _writer.WriteEndObject();
        _writer.WriteEndObject();
        _writer.WriteEndArray();
        End(null);
    }

    private void End(string? finishReason)
    {
        _writer.WriteEndObject();
        _writer.WriteNull("logprobs");
        _writer.WriteString("finish_reason", finishReason);
        _writer.WriteEndObject();
        _writer.WriteEndArray();
        if (includeUsage) _writer.WriteNull("usage");
        EndEvent();
    }

    private void EndEvent()
    {
        _writer.WriteEndObject();
        _writer.Flush();
        output.Write("\n\n"u8);
    }
}
