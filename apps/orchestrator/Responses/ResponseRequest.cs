using System.Text;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>
/// A request of the Responses API, checked. The run keeps it as it was sent, and everything else follows from it: the request to the model, and what the
/// response tells of itself.
/// </summary>
internal sealed class ResponseRequest
{
    private const int MaxModel = 200;

    private ResponseRequest(ReadOnlyMemory<byte> body, JsonElement root)
    {
        Body = body;
        Root = root;
    }

    /// <summary>The request as it was sent, UTF-8 JSON.</summary>
    public ReadOnlyMemory<byte> Body { get; }

    public JsonElement Root { get; }

    public required string Model { get; init; }

    /// <summary>The same request in the chat-completions dialect: the new messages, without instructions and history.</summary>
    public required CompletionInput Completion { get; init; }

    public required string? Instructions { get; init; }

    public required string? PreviousId { get; init; }

    public required string? ConversationId { get; init; }

    public required bool Stream { get; init; }

    public required bool Background { get; init; }

    /// <summary>It can be read later, and gone on from.</summary>
    public required bool Store { get; init; }

    public required IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>Reads and checks a request.</summary>
    /// <param name="body">Untrusted.</param>
    /// <param name="maxDepth">Deepest nesting.</param>
    /// <exception cref="ApiException">400: a member is wrong, or asks for what there is not here.</exception>
    public static ResponseRequest Parse(ReadOnlyMemory<byte> body, int maxDepth = 1000)
    {
        JsonElement root;
        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = maxDepth });
            root = document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new ApiException(400, ErrorCodes.InvalidJson, $"The body is not valid JSON, or nested deeper than {maxDepth} levels: {e.Message}");
        }
        if (root.ValueKind != JsonValueKind.Object) throw new ApiException(400, ErrorCodes.InvalidJson, "The body must be a JSON object.");
        string model = root.Text("model") ?? throw Invalid("'model' is required.", "model");
        if (model.Length is 0 or > MaxModel || model.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0) throw Invalid("'model' must be a name of at most 200 printable characters.", "model");
        Refuse(root);
        bool background = root.Flag("background") ?? false, store = root.Flag("store") ?? true;
        if (background && !store) throw Invalid("A response in the background is read later, so it has to be stored: leave 'store' out or set it to true.", "store");
        string? previous = root.Text("previous_response_id"), conversation = Conversation(root);
        if (previous is not null && conversation is not null) throw Invalid("'previous_response_id' and 'conversation' exclude each other.", "previous_response_id");
        return new ResponseRequest(body, root)
        {
            Model = model,
            Completion = CompletionInput.Parse(ChatRequestWriter.Write(root)),
            Instructions = root.Text("instructions") is { Length: > 0 } instructions ? instructions : null,
            PreviousId = previous,
            ConversationId = conversation,
            Stream = root.Flag("stream") ?? false,
            Background = background,
            Store = store,
            Metadata = ReadMetadata(root),
        };
    }

    public static ApiException Invalid(string message, string? param) => new(400, ErrorCodes.InvalidRequest, message, param);

    private static string? Conversation(JsonElement root) => root.Member("conversation") switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } id => id.GetString(),
        { ValueKind: JsonValueKind.Object } named when named.Text("id") is { } id => id,
        _ => throw Invalid("'conversation' must be the id of a conversation, or an object with it.", "conversation"),
    };

    /// <summary>What would change the answer and is not there, is refused rather than passed over.</summary>
    private static void Refuse(JsonElement root)
    {
        foreach (string name in (ReadOnlySpan<string>)["prompt", "max_tool_calls", "context_management"])
            if (root.Member(name) is not null) throw Invalid($"'{name}' is not supported here.", name);
        if (root.Member("truncation") is { } truncation && !truncation.Is("auto"))
            throw Invalid("What does not fit the model's window is dropped from the beginning: leave 'truncation' out or set it to 'auto'.", "truncation");
        if (root.Member("top_logprobs") is { } top && !(top.ValueKind == JsonValueKind.Number && top.GetDouble() == 0)) throw Invalid("'top_logprobs' is not supported here.", "top_logprobs");
        if (root.Member("service_tier") is { } tier && !tier.Is("auto") && !tier.Is("default")) throw Invalid("'service_tier' must be 'auto' or 'default'.", "service_tier");
        if (root.Member("reasoning") is { } reasoning)
        {
            if (reasoning.ValueKind != JsonValueKind.Object) throw Invalid("'reasoning' must be an object.", "reasoning");
            foreach (string name in (ReadOnlySpan<string>)["summary", "generate_summary"])
                if (reasoning.Member(name) is not null) throw Invalid("Summaries of a model's reasoning are not supported here.", $"reasoning.{name}");
        }
        if (root.Member("include") is not { } include) return;
        if (include.ValueKind != JsonValueKind.Array) throw Invalid("'include' must be an array.", "include");
        // Of reasoning there is none in the output, so that asking for it changes nothing.
        foreach (JsonElement wanted in include.EnumerateArray())
            if (!wanted.Is("reasoning.encrypted_content")) throw Invalid($"'include' cannot have {wanted.GetRawText()}.", "include");
    }

    private static Dictionary<string, string>? ReadMetadata(JsonElement root)
    {
        if (root.Member("metadata") is not { } metadata) return null;
        if (metadata.ValueKind != JsonValueKind.Object) throw Invalid("'metadata' must be an object.", "metadata");
        var read = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (JsonProperty entry in metadata.EnumerateObject())
        {
            if (entry.Name.Length > 64 || entry.Value.ValueKind != JsonValueKind.String || entry.Value.GetString()!.Length > 512)
                throw Invalid("'metadata' may have names of at most 64 and texts of at most 512 characters.", $"metadata.{entry.Name}");
            read[entry.Name] = entry.Value.GetString()!;
        }
        if (read.Count > 16) throw Invalid("'metadata' may have 16 entries.", "metadata");
        return read;
    }
}

/// <summary>Reads optional members: absent and null are the same.</summary>
internal static class ResponseMembers
{
    public static JsonElement? Member(this JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public static string? Text(this JsonElement element, string name) => element.Member(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ => throw ResponseRequest.Invalid($"'{name}' must be a string.", name),
    };

    public static bool? Flag(this JsonElement element, string name) => element.Member(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw ResponseRequest.Invalid($"'{name}' must be true or false.", name),
    };

    public static bool Is(this JsonElement element, string text) => element.ValueKind == JsonValueKind.String && element.ValueEquals(text);
}
