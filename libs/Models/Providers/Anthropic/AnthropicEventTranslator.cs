using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>Where a translated stream stands.</summary>
internal enum StreamProgress
{
    Open,
    /// <summary>The message is complete and <c>[DONE]</c> is written.</summary>
    Done,
    /// <summary>The provider reported an error.</summary>
    Failed,
}

/// <summary>
/// Translates the events of one streamed message into chunks. Thinking is not passed on, the OpenAI dialect has no place
/// for it; comments keep the connection alive meanwhile.
/// </summary>
internal sealed class AnthropicEventTranslator(IBufferWriter<byte> output, string? structuredTool, bool includeUsage, long created) : IDisposable
{
    private enum Block { Ignored, Text, Tool, Structured }

    private ChatChunkWriter? _chunks;
    private AnthropicUsage _usage;
    private Block _block;
    private bool _roleSent, _inputSent;
    private int _toolIndex = -1;
    private string _initialInput = "{}";
    private string? _stopReason;
    private TokenBox? _usageSoFar;

    /// <summary>Set when the provider reported an error.</summary>
    public OpenAiError? Error { get; private set; }

    /// <summary>Whether any chunk was written.</summary>
    public bool Started => _chunks is not null;

    /// <summary>May be read from another thread.</summary>
    public TokenUsage? UsageSoFar => Volatile.Read(ref _usageSoFar)?.Usage;

    /// <exception cref="InvalidDataException">The data is no event.</exception>
    public StreamProgress Translate(ReadOnlyMemory<byte> data)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(data, new JsonDocumentOptions { MaxDepth = 256 });
            return Translate(document.RootElement, data);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException("The provider's stream holds an event that is not valid.", e);
        }
    }

    public void Dispose() => _chunks?.Dispose();

    private StreamProgress Translate(JsonElement item, ReadOnlyMemory<byte> data)
    {
        switch (item.Text("type"u8))
        {
            case "message_start":
                JsonElement message = item.Member("message"u8);
                _chunks ??= new ChatChunkWriter(output, AnthropicAnswer.CompletionId(message.Text("id"u8)), created, message.Text("model"u8) ?? "", includeUsage);
                AddUsage(message.Member("usage"u8));
                break;
            case "error":
                Error = AnthropicErrors.Translate(0, data);
                _chunks?.Error(Error);
                return StreamProgress.Failed;
            case "ping":
                _chunks?.KeepAlive();
                break;
            case "content_block_start":
                StartBlock(item.Member("content_block"u8));
                break;
            case "content_block_delta":
                Delta(item.Member("delta"u8));
                break;
            case "content_block_stop":
                StopBlock();
                break;
            case "message_delta":
                _stopReason = item.Member("delta"u8).Text("stop_reason"u8) ?? _stopReason;
                AddUsage(item.Member("usage"u8));
                break;
            case "message_stop":
                ChatChunkWriter chunks = Chunks;
                if (!_roleSent) chunks.Role(0);
                chunks.Finish(0, AnthropicAnswer.FinishReason(_stopReason, _toolIndex >= 0));
                chunks.Done(_usage.ToTokenUsage());
                return StreamProgress.Done;
        }
        return StreamProgress.Open;
    }

    private ChatChunkWriter Chunks => _chunks ?? throw new InvalidDataException("The provider's stream does not begin with the start of a message.");

    private void AddUsage(JsonElement usage)
    {
        _usage.Add(usage);
        Volatile.Write(ref _usageSoFar, new TokenBox(_usage.ToTokenUsage()));
    }

    private void StartBlock(JsonElement block)
    {
        _inputSent = false;
        switch (block.Text("type"u8))
        {
            case "text":
                _block = Block.Text;
                Content(block.Text("text"u8) ?? "");
                break;
            case "tool_use":
                _initialInput = block.Member("input"u8) is { ValueKind: JsonValueKind.Object } input ? input.GetRawText() : "{}";
                string name = block.Text("name"u8) ?? "";
                if (name == structuredTool)
                {
                    _block = Block.Structured;
                    break;
                }
                _block = Block.Tool;
                Chunks.ToolCall(0, ++_toolIndex, block.Text("id"u8) ?? "", name, withRole: !_roleSent);
                _roleSent = true;
                break;
            default:
                _block = Block.Ignored;
                Chunks.KeepAlive();
                break;
        }
    }

    private void Delta(JsonElement delta)
    {
        if (_block == Block.Text && delta.Text("text"u8) is { } text) Content(text);
        else if (delta.Text("partial_json"u8) is { Length: > 0 } json) Input(json);
    }

    private void StopBlock()
    {
        // A call without arguments comes without pieces.
        if (_block is Block.Tool or Block.Structured && !_inputSent) Input(_initialInput);
        _block = Block.Ignored;
    }

    private void Input(string json)
    {
        _inputSent = true;
        if (_block == Block.Tool) Chunks.ToolArguments(0, _toolIndex, json);
        else if (_block == Block.Structured) Content(json, structured: true);
    }

    private void Content(string text, bool structured = false)
    {
        // Beside a structured answer, other text would make the content invalid JSON.
        if (structuredTool is not null && !structured) return;
        if (!_roleSent) Chunks.Role(0);
        _roleSent = true;
        if (text.Length > 0) Chunks.Content(0, text);
    }

    private sealed record TokenBox(TokenUsage Usage);
}
