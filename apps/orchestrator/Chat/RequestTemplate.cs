using System.Buffers;
using System.Text;
using System.Text.Json;
using MultiAgent.Models.Providers;
using MultiAgent.Orchestrator.Agents;

namespace MultiAgent.Orchestrator.Chat;

/// <summary>
/// The part of a run's model requests that is the same in every step: model, tools and settings, as bytes. A step adds the
/// messages and nothing else.
/// </summary>
internal sealed class RequestTemplate
{
    private readonly byte[] _head;
    private readonly byte[] _tail;
    private readonly byte[] _firstTail;

    /// <param name="agent">Gives model, tools and defaults.</param>
    /// <param name="client">What the client's request sets; it wins over the agent.</param>
    /// <param name="stream">Ask for a stream.</param>
    public RequestTemplate(CompiledAgent agent, CompletionInput? client, bool stream)
    {
        Model = agent.Model;
        Stream = stream;
        string model = JsonEncodedText.Encode(agent.Model).ToString();
        _head = Encoding.UTF8.GetBytes($"{{\"model\":\"{model}\",\"messages\":[");
        ModelSpan = (9, Encoding.UTF8.GetByteCount(model) + 2);
        var tail = new ArrayBufferWriter<byte>(256);
        tail.Write("]"u8);
        if (stream) tail.Write(",\"stream\":true"u8);
        WriteTools(tail, agent, client);
        WriteSettings(tail, agent, client);
        if (client is not null) tail.Write(client.Settings.Span);
        // A forced choice of tool holds for the first step only: with it, a run would call tools without end.
        _tail = [.. tail.WrittenSpan, (byte)'}'];
        _firstTail = client is { ToolChoice.Length: > 0 } ? [.. tail.WrittenSpan, .. ",\"tool_choice\":"u8, .. client.ToolChoice.Span, (byte)'}'] : _tail;
    }

    public string Model { get; }

    public bool Stream { get; }

    private (int Start, int Length) ModelSpan { get; }

    /// <summary>The request of one step.</summary>
    public (ReadOnlyMemory<byte> Body, RequestEnvelope Envelope) Build(ReadOnlyMemory<byte> system, IReadOnlyList<ChatMessage> messages, bool first)
    {
        byte[] tail = first ? _firstTail : _tail;
        int length = _head.Length + system.Length + 1 + tail.Length;
        for (int i = 0; i < messages.Count; i++) length += messages[i].Json.Length + 1;
        byte[] body = new byte[length];
        int at = 0, count = 0;
        Put(_head);
        if (!system.IsEmpty) PutMessage(system.Span);
        for (int i = 0; i < messages.Count; i++) PutMessage(messages[i].Json.Span);
        Put(tail);
        var envelope = new RequestEnvelope { Model = Model, ModelSpan = ModelSpan, Stream = Stream, ObjectStart = 1, ItemCount = count, HasInput = true };
        return (body.AsMemory(0, at), envelope);

        void Put(ReadOnlySpan<byte> bytes)
        {
            bytes.CopyTo(body.AsSpan(at));
            at += bytes.Length;
        }

        void PutMessage(ReadOnlySpan<byte> bytes)
        {
            if (count++ > 0) body[at++] = (byte)',';
            Put(bytes);
        }
    }

    private static void WriteTools(ArrayBufferWriter<byte> output, CompiledAgent agent, CompletionInput? client)
    {
        bool any = false;
        foreach (byte[] tool in agent.ToolsJson) Add(tool);
        foreach (ReadOnlyMemory<byte> tool in client?.Tools ?? []) Add(tool.Span);
        if (any) output.Write("]"u8);

        void Add(ReadOnlySpan<byte> tool)
        {
            output.Write(any ? ","u8 : ",\"tools\":["u8);
            output.Write(tool);
            any = true;
        }
    }

    private static void WriteSettings(ArrayBufferWriter<byte> output, CompiledAgent agent, CompletionInput? client)
    {
        AgentSpec spec = agent.Spec;
        Number("temperature", spec.Temperature);
        Number("top_p", spec.TopP);
        if (client?.Sets("max_tokens") != true && client?.Sets("max_completion_tokens") != true) Number("max_tokens", spec.MaxTokens);
        if (agent.ResponseFormat is not null && client?.Sets("response_format") != true)
        {
            output.Write(",\"response_format\":"u8);
            output.Write(agent.ResponseFormat);
        }

        void Number(string name, double? value)
        {
            if (value is { } number && client?.Sets(name) != true)
                output.Write(Encoding.UTF8.GetBytes(string.Create(System.Globalization.CultureInfo.InvariantCulture, $",\"{name}\":{number}")));
        }
    }
}
