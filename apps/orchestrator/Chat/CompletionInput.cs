using System.Buffers;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Orchestrator.Chat;

/// <summary>
/// A client's chat completion request to an agent, cut into what the run needs: the messages, the client's own tools, and
/// the settings that go to the model as they are. All of it stays bytes of the request.
/// </summary>
internal sealed class CompletionInput
{
    // What the platform decides itself, and what the answer of an agent has no place for.
    private static readonly HashSet<string> Withheld = ["model", "messages", "tools", "tool_choice", "stream", "stream_options", "n", "variables", "logprobs", "top_logprobs", "store", "modalities", "audio", "functions", "function_call"];

    private readonly HashSet<string> _set = [];

    public required ReadOnlyMemory<byte> Body { get; init; }

    public List<ChatMessage> Messages { get; } = [];

    /// <summary>Tools that the client executes, one JSON object each.</summary>
    public List<ReadOnlyMemory<byte>> Tools { get; } = [];

    public HashSet<string> ToolNames { get; } = new(StringComparer.Ordinal);

    public ReadOnlyMemory<byte> ToolChoice { get; private set; }

    /// <summary>The other members, each with a comma before it.</summary>
    public ReadOnlyMemory<byte> Settings { get; private set; }

    public bool IncludeUsage { get; private set; }

    /// <summary>The client's end user, as its member <c>user</c> names them.</summary>
    public string? User { get; private set; }

    /// <summary>Values for the agent's instructions: a member of our own that OpenAI clients send as an extra.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; private set; }

    public bool Sets(string member) => _set.Contains(member);

    /// <summary>Reads a request.</summary>
    /// <param name="body">Untrusted, but JSON of bounded depth: one object.</param>
    /// <exception cref="ApiException">400: a member has the wrong type.</exception>
    public static CompletionInput Parse(ReadOnlyMemory<byte> body)
    {
        var input = new CompletionInput { Body = body };
        try
        {
            input.Read(body);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Invalid("The body is not a valid request.", null);
        }
        if (input.Messages.Count == 0) throw Invalid("'messages' must have at least one message.", "messages");
        return input;
    }

    private void Read(ReadOnlyMemory<byte> body)
    {
        var reader = new Utf8JsonReader(body.Span, new JsonReaderOptions { MaxDepth = 1000 });
        var settings = new ArrayBufferWriter<byte>(128);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) throw Invalid("The body must be a JSON object.", null);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            int nameStart = (int)reader.TokenStartIndex;
            reader.Read();
            int valueStart = (int)reader.TokenStartIndex;
            switch (name)
            {
                case "messages":
                    ReadMessages(ref reader, body);
                    break;
                case "tools":
                    ReadTools(ref reader, body);
                    break;
                case "tool_choice":
                    bool given = reader.TokenType != JsonTokenType.Null;
                    reader.Skip();
                    if (given) ToolChoice = body[valueStart..(int)reader.BytesConsumed];
                    break;
                case "stream_options":
                    IncludeUsage = ReadIncludeUsage(ref reader);
                    break;
                case "variables":
                    ReadVariables(ref reader);
                    break;
                case "n":
                    if (reader.TokenType != JsonTokenType.Null && !(reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out int n) && n == 1))
                        throw Invalid("An agent gives one choice: leave out 'n' or set it to 1.", "n");
                    break;
                default:
                    bool isNull = reader.TokenType == JsonTokenType.Null;
                    if (name == "user" && reader.TokenType == JsonTokenType.String) User = reader.GetString();
                    reader.Skip();
                    if (isNull || Withheld.Contains(name)) break;
                    _set.Add(name);
                    settings.Write(","u8);
                    settings.Write(body.Span[nameStart..(int)reader.BytesConsumed]);
                    break;
            }
        }
        Settings = settings.WrittenMemory;
    }

    private void ReadMessages(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        if (reader.TokenType != JsonTokenType.StartArray) throw Invalid("'messages' must be an array.", "messages");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            int start = (int)reader.TokenStartIndex;
            reader.Skip();
            try
            {
                Messages.Add(ChatMessage.Parse(body[start..(int)reader.BytesConsumed]));
            }
            catch (FormatException e)
            {
                throw Invalid($"messages[{Messages.Count}] {e.Message}", $"messages[{Messages.Count}]");
            }
        }
    }

    private void ReadTools(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        if (reader.TokenType == JsonTokenType.Null) return;
        if (reader.TokenType != JsonTokenType.StartArray) throw Invalid("'tools' must be an array.", "tools");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            int start = (int)reader.TokenStartIndex;
            reader.Skip();
            ReadOnlyMemory<byte> tool = body[start..(int)reader.BytesConsumed];
            using var document = JsonDocument.Parse(tool);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("function", out JsonElement function) || function.ValueKind != JsonValueKind.Object
                || !function.TryGetProperty("name", out JsonElement name) || name.ValueKind != JsonValueKind.String || name.GetString() is not { Length: > 0 and <= 64 } text)
                throw Invalid($"tools[{Tools.Count}] must be a function with a name of at most 64 characters.", $"tools[{Tools.Count}]");
            if (!ToolNames.Add(text)) throw Invalid($"The tool '{text}' is declared twice.", $"tools[{Tools.Count}]");
            Tools.Add(tool);
            if (Tools.Count > 128) throw Invalid("'tools' may have 128 entries.", "tools");
        }
    }

    private void ReadVariables(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.Null) return;
        if (reader.TokenType != JsonTokenType.StartObject) throw Invalid("'variables' must be an object.", "variables");
        using JsonDocument document = JsonDocument.ParseValue(ref reader);
        Variables = document.RootElement.EnumerateObject().DistinctBy(p => p.Name).ToDictionary(p => p.Name, p => p.Value.Clone());
    }

    private static bool ReadIncludeUsage(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject) return false;
        bool include = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool match = reader.ValueTextEquals("include_usage"u8);
            reader.Read();
            if (match) include = reader.TokenType == JsonTokenType.True;
            reader.Skip();
        }
        return include;
    }

    private static ApiException Invalid(string message, string? param) => new(400, ErrorCodes.InvalidRequest, message, param);
}
