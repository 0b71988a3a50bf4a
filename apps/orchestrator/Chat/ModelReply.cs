using System.Buffers;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Chat;

/// <summary>What a model answered, collected from one JSON body or from the chunks of a stream.</summary>
internal sealed class ModelReply
{
    // Far above what any model writes in one answer; a provider that sends more is broken.
    private const int MaxTextBytes = 16 * 1024 * 1024;
    private const int MaxCalls = 128;

    private readonly ArrayBufferWriter<byte> _text = new(256);
    private readonly List<CallParts> _calls = [];

    public ReadOnlyMemory<byte> Text => _text.WrittenMemory;

    public string? FinishReason { get; private set; }

    /// <summary>The error object that a provider sent inside its answer; null when there was none.</summary>
    public (string? Code, string Message)? Error { get; private set; }

    public bool IsEmpty => _text.WrittenCount == 0 && _calls.Count == 0 && FinishReason is null;

    /// <summary>The calls of tools, complete only after the last chunk.</summary>
    public IReadOnlyList<ToolCall> Calls()
    {
        if (_calls.Count == 0) return [];
        var calls = new List<ToolCall>(_calls.Count);
        foreach (CallParts parts in _calls)
        {
            if (parts.Name.Length > 0) calls.Add(new ToolCall(parts.Id.Length > 0 ? parts.Id : $"call_{calls.Count + 1}", parts.Name, parts.Arguments));
        }
        return calls;
    }

    /// <summary>Adds a completion, or one chunk of it. Returns the text that it adds, valid until the next call.</summary>
    /// <param name="body">Untrusted.</param>
    /// <exception cref="JsonException">It is not JSON of the expected shape.</exception>
    public ReadOnlySpan<byte> Add(ReadOnlySpan<byte> body)
    {
        int before = _text.WrittenCount;
        var reader = new Utf8JsonReader(body);
        try
        {
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject) throw new JsonException("No object.");
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                bool choices = reader.ValueTextEquals("choices"u8), error = reader.ValueTextEquals("error"u8);
                reader.Read();
                if (choices && reader.TokenType == JsonTokenType.StartArray) ReadChoices(ref reader);
                else if (error && reader.TokenType == JsonTokenType.StartObject) ReadError(ref reader);
                else reader.Skip();
            }
        }
        catch (InvalidOperationException e)
        {
            // a string that is no valid UTF-16, or a value of another kind than the dialect says
            throw new JsonException("The answer does not follow the dialect.", e);
        }
        return _text.WrittenSpan[before..];
    }

    private void ReadChoices(ref Utf8JsonReader reader)
    {
        int position = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            // Runs ask for one choice.
            if (position++ > 0)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("delta"u8) || reader.ValueTextEquals("message"u8))
                {
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.StartObject) ReadMessage(ref reader);
                    else reader.Skip();
                }
                else if (reader.ValueTextEquals("finish_reason"u8))
                {
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.String) FinishReason = KnownReason(ref reader);
                    else reader.Skip();
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
        }
    }

    private void ReadMessage(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool text = reader.ValueTextEquals("content"u8) || reader.ValueTextEquals("refusal"u8);
            bool calls = reader.ValueTextEquals("tool_calls"u8);
            reader.Read();
            if (text && reader.TokenType == JsonTokenType.String)
            {
                int length = reader.HasValueSequence ? (int)reader.ValueSequence.Length : reader.ValueSpan.Length;
                if (length == 0) continue;
                if (_text.WrittenCount + length > MaxTextBytes) throw new JsonException("The answer is too long.");
                _text.Advance(reader.CopyString(_text.GetSpan(length)));
            }
            else if (calls && reader.TokenType == JsonTokenType.StartArray) ReadCalls(ref reader);
            else reader.Skip();
        }
    }

    private void ReadCalls(ref Utf8JsonReader reader)
    {
        int position = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            int index = position++;
            string? id = null, name = null, arguments = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("index"u8))
                {
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.Number) index = reader.GetInt32();
                }
                else if (reader.ValueTextEquals("id"u8))
                {
                    reader.Read();
                    id = reader.GetString();
                }
                else if (reader.ValueTextEquals("function"u8))
                {
                    reader.Read();
                    if (reader.TokenType == JsonTokenType.StartObject) ReadFunction(ref reader, ref name, ref arguments);
                    else reader.Skip();
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
            if (index is < 0 or >= MaxCalls) throw new JsonException("Too many tool calls.");
            while (_calls.Count <= index) _calls.Add(new CallParts());
            CallParts parts = _calls[index];
            if (id is not null) parts.Id = id;
            if (name is not null) parts.Name += name;
            if (arguments is not null) parts.Append(arguments);
        }
    }

    private static void ReadFunction(ref Utf8JsonReader reader, ref string? name, ref string? arguments)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isName = reader.ValueTextEquals("name"u8), isArguments = reader.ValueTextEquals("arguments"u8);
            reader.Read();
            if (isName && reader.TokenType == JsonTokenType.String) name = reader.GetString();
            else if (isArguments && reader.TokenType == JsonTokenType.String) arguments = reader.GetString();
            else reader.Skip();
        }
    }

    private void ReadError(ref Utf8JsonReader reader)
    {
        string? code = null;
        string message = "The provider reported an error.";
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool isCode = reader.ValueTextEquals("code"u8), isMessage = reader.ValueTextEquals("message"u8);
            reader.Read();
            if (isCode && reader.TokenType == JsonTokenType.String) code = reader.GetString();
            else if (isMessage && reader.TokenType == JsonTokenType.String) message = reader.GetString()!;
            else reader.Skip();
        }
        Error = (code, message);
    }

    private static string KnownReason(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("stop"u8) ? "stop"
        : reader.ValueTextEquals("tool_calls"u8) ? "tool_calls"
        : reader.ValueTextEquals("length"u8) ? "length"
        : reader.ValueTextEquals("content_filter"u8) ? "content_filter"
        : reader.GetString()!;

    private sealed class CallParts
    {
        private System.Text.StringBuilder? _more;
        private string _arguments = "";

        public string Id = "";
        public string Name = "";

        public string Arguments => _more?.ToString() ?? _arguments;

        public void Append(string arguments)
        {
            if (_more is null && _arguments.Length == 0) _arguments = arguments;
            else (_more ??= new System.Text.StringBuilder(_arguments)).Append(arguments);
            if ((_more?.Length ?? _arguments.Length) > MaxTextBytes) throw new JsonException("The arguments are too long.");
        }
    }
}
