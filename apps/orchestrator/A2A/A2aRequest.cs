using System.Text.Json;
using MultiAgent.Contracts;

namespace MultiAgent.Orchestrator.A2A;

/// <summary>The two versions of the protocol that are spoken.</summary>
internal enum A2aDialect
{
    /// <summary>1.0: <c>SendMessage</c>, <c>TASK_STATE_COMPLETED</c>, parts told apart by their members.</summary>
    Current,
    /// <summary>0.3: <c>message/send</c>, <c>completed</c>, parts with a <c>kind</c>.</summary>
    Old,
}

/// <summary>A request of JSON-RPC.</summary>
/// <param name="Id">As sent, to be sent back; null for a notification.</param>
/// <param name="Method">In the words of version 1.0.</param>
/// <param name="Dialect">Which version the client's words are of.</param>
/// <param name="Params">An object.</param>
internal sealed record A2aRequest(JsonElement? Id, string Method, A2aDialect Dialect, JsonElement Params)
{
    private static readonly Dictionary<string, string> OldNames = new(StringComparer.Ordinal)
    {
        ["message/send"] = "SendMessage",
        ["message/stream"] = "SendStreamingMessage",
        ["tasks/get"] = "GetTask",
        ["tasks/cancel"] = "CancelTask",
        ["tasks/resubscribe"] = "SubscribeToTask",
        ["tasks/pushNotificationConfig/set"] = "CreateTaskPushNotificationConfig",
        ["tasks/pushNotificationConfig/get"] = "GetTaskPushNotificationConfig",
        ["tasks/pushNotificationConfig/list"] = "ListTaskPushNotificationConfigs",
        ["tasks/pushNotificationConfig/delete"] = "DeleteTaskPushNotificationConfig",
        ["agent/getAuthenticatedExtendedCard"] = "GetExtendedAgentCard",
    };

    private static readonly JsonElement Nothing = JsonSerializer.SerializeToElement(new { });

    /// <param name="body">Untrusted.</param>
    /// <exception cref="A2aException">It is no request.</exception>
    public static A2aRequest Read(JsonElement body)
    {
        if (body.ValueKind != JsonValueKind.Object || Text(body, "jsonrpc") != "2.0" || Text(body, "method") is not { } method) throw new A2aException(A2aErrors.InvalidRequest, "Send one request of JSON-RPC 2.0.");
        JsonElement given = body.TryGetProperty("params", out JsonElement members) && members.ValueKind != JsonValueKind.Null ? members : Nothing;
        if (given.ValueKind != JsonValueKind.Object) throw new A2aException(A2aErrors.InvalidParams, "'params' must be an object.");
        return OldNames.TryGetValue(method, out string? current)
            ? new A2aRequest(IdOf(body), current, A2aDialect.Old, given)
            : new A2aRequest(IdOf(body), method, A2aDialect.Current, given);
    }

    public static JsonElement? IdOf(JsonElement body) => body.ValueKind == JsonValueKind.Object && body.TryGetProperty("id", out JsonElement id) && id.ValueKind is JsonValueKind.String or JsonValueKind.Number ? id : null;

    public static string? Text(JsonElement element, string name) => element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>The id of the task that the request is about.</summary>
    public string TaskId() => Text(Params, "id") ?? throw new A2aException(A2aErrors.InvalidParams, "'id' is required: the id of a task.");
}

/// <summary>A message of a client.</summary>
/// <param name="Id">The client's; the same message sent twice is one task.</param>
/// <param name="ContextId">The conversation to go on with.</param>
/// <param name="Text">What it says.</param>
/// <param name="Waits">The answer waits for the task's end.</param>
internal sealed record A2aMessage(string Id, string? ContextId, string Text, bool Waits)
{
    private const int MaxText = 1_000_000;

    /// <exception cref="A2aException">The message cannot be taken.</exception>
    public static A2aMessage Read(JsonElement parameters)
    {
        if (!parameters.TryGetProperty("message", out JsonElement message) || message.ValueKind != JsonValueKind.Object) throw new A2aException(A2aErrors.InvalidParams, "'message' is required.");
        string id = A2aRequest.Text(message, "messageId") is { Length: > 0 and <= 200 } given ? given : throw new A2aException(A2aErrors.InvalidParams, "'message.messageId' is required, and may have 200 characters.");
        if (A2aRequest.Text(message, "taskId") is { Length: > 0 }) throw new A2aException(A2aErrors.UnsupportedOperation, "A task takes no further messages. Send the next one with its 'contextId'.");
        string? context = A2aRequest.Text(message, "contextId") is { Length: > 0 } conversation ? conversation : null;
        if (context is not null && !Ids.IsValid(context, "conv")) throw new A2aException(A2aErrors.InvalidParams, "'message.contextId' is not the id of a conversation with this agent. Leave it out to begin one.");
        if (!message.TryGetProperty("parts", out JsonElement parts) || parts.ValueKind != JsonValueKind.Array || parts.GetArrayLength() == 0) throw new A2aException(A2aErrors.InvalidParams, "'message.parts' is required.");
        string text = string.Join("\n\n", parts.EnumerateArray().Select(Part));
        if (string.IsNullOrWhiteSpace(text)) throw new A2aException(A2aErrors.InvalidParams, "The message says nothing.");
        if (text.Length > MaxText) throw new A2aException(A2aErrors.InvalidParams, $"The message may have {MaxText} characters.");
        bool waits = !parameters.TryGetProperty("configuration", out JsonElement configuration) || configuration.ValueKind != JsonValueKind.Object
            || !(Is(configuration, "blocking", JsonValueKind.False) || Is(configuration, "returnImmediately", JsonValueKind.True));
        return new A2aMessage(id, context, text, waits);
    }

    private static bool Is(JsonElement element, string name, JsonValueKind kind) => element.TryGetProperty(name, out JsonElement value) && value.ValueKind == kind;

    private static string Part(JsonElement part)
    {
        if (part.ValueKind != JsonValueKind.Object) throw new A2aException(A2aErrors.InvalidParams, "A part of the message is no object.");
        if (A2aRequest.Text(part, "text") is { } text) return text;
        if (part.TryGetProperty("data", out JsonElement data)) return data.GetRawText();
        throw new A2aException(A2aErrors.ContentTypeNotSupported, "This agent reads text and data, no files.");
    }
}
