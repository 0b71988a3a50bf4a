using System.Buffers;
using System.Text;
using System.Text.Json;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Completions;

/// <summary>Writes a run's answer in the OpenAI chat-completions dialect.</summary>
internal static class CompletionWriter
{
    public static string IdOf(RunRecord run) => $"chatcmpl-{run.Id}";

    /// <summary>The name that the run answers to.</summary>
    public static string ModelOf(RunRecord run) => $"{(run.Kind == RunKind.Workflow ? "workflow" : "agent")}/{run.Agent}";

    /// <summary>The whole answer as one object.</summary>
    public static ReadOnlyMemory<byte> Whole(RunOutcome outcome)
    {
        FinalMessage message = outcome.Message!;
        var buffer = new ArrayBufferWriter<byte>(message.Text.Length + message.ToolCalls.Length + 640);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("id"u8, IdOf(outcome.Run));
        json.WriteString("object"u8, "chat.completion"u8);
        json.WriteNumber("created"u8, outcome.Run.CreatedAt.ToUnixTimeSeconds());
        json.WriteString("model"u8, ModelOf(outcome.Run));
        json.WriteStartArray("choices"u8);
        json.WriteStartObject();
        json.WriteNumber("index"u8, 0);
        json.WriteStartObject("message"u8);
        json.WriteString("role"u8, "assistant"u8);
        if (message.Text.IsEmpty && !message.ToolCalls.IsEmpty) json.WriteNull("content"u8);
        else json.WriteString("content"u8, message.Text.Span);
        json.WriteNull("refusal"u8);
        json.WriteStartArray("annotations"u8);
        json.WriteEndArray();
        if (!message.ToolCalls.IsEmpty)
        {
            json.WritePropertyName("tool_calls"u8);
            json.WriteRawValue(message.ToolCalls.Span, skipInputValidation: true);
        }
        json.WriteEndObject();
        json.WriteNull("logprobs"u8);
        json.WriteString("finish_reason"u8, message.FinishReason);
        json.WriteEndObject();
        json.WriteEndArray();
        json.WritePropertyName("usage"u8);
        WriteUsage(json, outcome.Run);
        json.WriteString("service_tier"u8, "default"u8);
        json.WriteNull("system_fingerprint"u8);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    public static void WriteUsage(Utf8JsonWriter json, RunRecord run)
    {
        json.WriteStartObject();
        json.WriteNumber("prompt_tokens"u8, run.Usage.InputTokens);
        json.WriteNumber("completion_tokens"u8, run.Usage.OutputTokens);
        json.WriteNumber("total_tokens"u8, run.Usage.InputTokens + run.Usage.OutputTokens);
        json.WriteStartObject("prompt_tokens_details"u8);
        json.WriteNumber("cached_tokens"u8, run.Usage.CachedInputTokens);
        json.WriteNumber("audio_tokens"u8, 0);
        json.WriteEndObject();
        json.WriteStartObject("completion_tokens_details"u8);
        json.WriteNumber("reasoning_tokens"u8, run.Usage.ReasoningTokens);
        json.WriteNumber("audio_tokens"u8, 0);
        json.WriteNumber("accepted_prediction_tokens"u8, 0);
        json.WriteNumber("rejected_prediction_tokens"u8, 0);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>An error inside a stream; the stream ends after it, without <c>[DONE]</c>.</summary>
    public static void StreamError(IBufferWriter<byte> output, int status, string code, string message)
    {
        output.Write("data: "u8);
        ErrorWriter.WriteOpenAi(output, status, code, message);
        output.Write("\n\n"u8);
    }
}

/// <summary>Writes the chunks of one streamed answer; what they share is encoded once.</summary>
internal sealed class ChunkWriter
{
    private readonly byte[] _head;
    private readonly bool _includeUsage;
    private readonly Utf8JsonWriter _json;
    private readonly IBufferWriter<byte> _output;
    private bool _begun;

    public ChunkWriter(IBufferWriter<byte> output, RunRecord run, bool includeUsage)
    {
        _output = output;
        _includeUsage = includeUsage;
        _head = Encoding.UTF8.GetBytes($$"""data: {"id":"{{CompletionWriter.IdOf(run)}}","object":"chat.completion.chunk","created":{{run.CreatedAt.ToUnixTimeSeconds()}},"model":"{{CompletionWriter.ModelOf(run)}}","service_tier":"default","system_fingerprint":null,"choices":[""");
        _json = new Utf8JsonWriter(output, Json.WriterOptions);
    }

    /// <summary>A piece of text, after the first chunk that names the role.</summary>
    public void Text(ReadOnlySpan<byte> text)
    {
        Begin(withContent: true);
        _output.Write(_head);
        _output.Write("{\"index\":0,\"delta\":{\"content\":"u8);
        _json.Reset(_output);
        _json.WriteStringValue(text);
        _json.Flush();
        _output.Write("},\"logprobs\":null,\"finish_reason\":null}]"u8);
        EndChunk();
    }

    /// <summary>The calls for the client: for each its name first, then its arguments.</summary>
    public void ToolCalls(ReadOnlyMemory<byte> calls)
    {
        Begin(withContent: false);
        using var document = JsonDocument.Parse(calls);
        int index = 0;
        foreach (JsonElement call in document.RootElement.EnumerateArray())
        {
            JsonElement function = call.GetProperty("function");
            Delta(index, call.GetProperty("id").GetString(), function.GetProperty("name").GetString(), "");
            if (function.GetProperty("arguments").GetString() is { Length: > 0 } arguments) Delta(index, null, null, arguments);
            index++;
        }
    }

    /// <summary>The end: reason, usage if the client asked for it, and <c>[DONE]</c>.</summary>
    public void End(RunRecord run, string finishReason)
    {
        Begin(withContent: true);
        _output.Write(_head);
        _output.Write("{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\""u8);
        _output.Write(Encoding.UTF8.GetBytes(finishReason));
        _output.Write("\"}]"u8);
        EndChunk();
        if (_includeUsage)
        {
            _output.Write(_head);
            _output.Write("],\"usage\":"u8);
            _json.Reset(_output);
            CompletionWriter.WriteUsage(_json, run);
            _json.Flush();
            _output.Write("}\n\n"u8);
        }
        _output.Write("data: [DONE]\n\n"u8);
    }

    private void Begin(bool withContent)
    {
        if (_begun) return;
        _begun = true;
        _output.Write(_head);
        _output.Write(withContent
            ? "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}]"u8
            : "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"refusal\":null},\"logprobs\":null,\"finish_reason\":null}]"u8);
        EndChunk();
    }

    private void Delta(int index, string? id, string? name, string arguments)
    {
        _output.Write(_head);
        _output.Write("{\"index\":0,\"delta\":{\"tool_calls\":["u8);
        _json.Reset(_output);
        _json.WriteStartObject();
        _json.WriteNumber("index"u8, index);
        if (id is not null)
        {
            _json.WriteString("id"u8, id);
            _json.WriteString("type"u8, "function"u8);
        }
        _json.WriteStartObject("function"u8);
        if (name is not null) _json.WriteString("name"u8, name);
        _json.WriteString("arguments"u8, arguments);
        _json.WriteEndObject();
        _json.WriteEndObject();
        _json.Flush();
        _output.Write("]},\"logprobs\":null,\"finish_reason\":null}]"u8);
        EndChunk();
    }

    private void EndChunk() => _output.Write(_includeUsage ? ",\"usage\":null}\n\n"u8 : "}\n\n"u8);
}
