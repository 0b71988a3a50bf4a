using System.Buffers;
using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Chat;
using static MultiAgent.Orchestrator.Responses.ResponseRequest;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>The items of a request's <c>input</c>, as messages for a model and as the API lists them.</summary>
internal static class InputItems
{
    private const int MaxItems = 2_000;

    /// <summary>The input as messages of the chat-completions dialect. Calls that follow each other become one message, as models wrote them.</summary>
    public static IReadOnlyList<ReadOnlyMemory<byte>> ToMessages(JsonElement root)
    {
        JsonElement input = root.Member("input") ?? throw Invalid("'input' is required.", "input");
        if (input.ValueKind == JsonValueKind.String)
        {
            if (input.GetString()!.Length == 0) throw Invalid("'input' must not be empty.", "input");
            return [ChatMessage.Of(ChatRole.User, input.GetString()!).Json];
        }
        if (input.ValueKind != JsonValueKind.Array || input.GetArrayLength() == 0) throw Invalid("'input' must be a text, or an array with at least one item.", "input");
        if (input.GetArrayLength() > MaxItems) throw Invalid($"'input' may have {MaxItems} items.", "input");
        bool alone = root.Member("previous_response_id") is null && root.Member("conversation") is null;
        var messages = new List<ReadOnlyMemory<byte>>();
        var calls = new List<ToolCall>();
        var known = new HashSet<string>(StringComparer.Ordinal);
        string? said = null;
        int index = 0;
        foreach (JsonElement item in input.EnumerateArray())
        {
            string at = $"input[{index++}]";
            if (item.ValueKind != JsonValueKind.Object) throw Invalid($"{at} must be an object.", at);
            switch (item.Text("type") ?? "message")
            {
                case "message":
                    string role = item.Text("role") is "user" or "assistant" or "system" or "developer" ? item.Text("role")! : throw Invalid($"{at} has no known 'role'.", $"{at}.role");
                    JsonElement content = item.Member("content") ?? throw Invalid($"{at} has no 'content'.", $"{at}.content");
                    Close();
                    if (role == "assistant") said = PlainText(content, at);
                    else messages.Add(Message(role, content, at));
                    break;
                case "function_call":
                    var call = new ToolCall(Required(item, "call_id", at), Required(item, "name", at), Required(item, "arguments", at));
                    known.Add(call.Id);
                    calls.Add(call);
                    break;
                case "function_call_output":
                    Close();
                    string id = Required(item, "call_id", at);
                    if (alone && !known.Contains(id)) throw Invalid($"{at} answers the call '{id}', which is not in the input. Send the call before it, or name the response that made it in 'previous_response_id'.", $"{at}.call_id");
                    messages.Add(ChatMessage.ToolResult(id, PlainText(item.Member("output") ?? throw Invalid($"{at} has no 'output'.", $"{at}.output"), at)).Json);
                    break;
                case "reasoning":
                    // A model's own notes; no other model can use them.
                    break;
                case var type:
                    throw Invalid($"{at}: items of type '{(type.Length > 60 ? type[..60] : type)}' are not supported here.", $"{at}.type");
            }
        }
        Close();
        if (messages.Count == 0) throw Invalid("'input' holds nothing to answer.", "input");
        return messages;

        void Close()
        {
            if (said is null && calls.Count == 0) return;
            messages.Add(ChatMessage.Assistant(Encoding.UTF8.GetBytes(said ?? ""), [.. calls]).Json);
            calls.Clear();
            said = null;
        }
    }

    /// <summary>The items as they are listed, each with an id of this response.</summary>
    public static IReadOnlyList<(string Id, Action<Utf8JsonWriter> Write)> List(ResponseRequest request, string suffix)
    {
        JsonElement input = request.Root.GetProperty("input");
        if (input.ValueKind == JsonValueKind.String)
        {
            string only = $"msg_{suffix}i0";
            return [(only, json => WriteMessage(json, only, "user", () => WriteTextPart(json, input.GetString()!, "input_text")))];
        }
        var items = new List<(string, Action<Utf8JsonWriter>)>();
        int index = 0;
        foreach (JsonElement item in input.EnumerateArray())
        {
            string type = item.Text("type") ?? "message", id = $"{(type == "message" ? "msg" : type == "function_call" ? "fc" : "item")}_{suffix}i{index++}";
            items.Add((id, json => WriteItem(json, item, type, id)));
        }
        return items;
    }

    private static void WriteItem(Utf8JsonWriter json, JsonElement item, string type, string id)
    {
        if (type == "message" && item.GetProperty("content") is { ValueKind: JsonValueKind.String } text)
        {
            string role = item.GetProperty("role").GetString()!;
            WriteMessage(json, id, role, () => WriteTextPart(json, text.GetString()!, role == "assistant" ? "output_text" : "input_text"));
            return;
        }
        json.WriteStartObject();
        json.WriteString("id"u8, id);
        json.WriteString("type"u8, type);
        foreach (JsonProperty member in item.EnumerateObject())
            if (member.Name is not ("id" or "type" or "status")) member.WriteTo(json);
        json.WriteString("status"u8, "completed"u8);
        json.WriteEndObject();
    }

    private static void WriteMessage(Utf8JsonWriter json, string id, string role, Action content)
    {
        json.WriteStartObject();
        json.WriteString("id"u8, id);
        json.WriteString("type"u8, "message"u8);
        json.WriteString("status"u8, "completed"u8);
        json.WriteString("role"u8, role);
        json.WriteStartArray("content"u8);
        content();
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTextPart(Utf8JsonWriter json, string text, string type)
    {
        json.WriteStartObject();
        json.WriteString("type"u8, type);
        json.WriteString("text"u8, text);
        if (type == "output_text")
        {
            json.WriteStartArray("annotations"u8);
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static string Required(JsonElement item, string name, string at) => item.Text(name) ?? throw Invalid($"{at} has no '{name}'.", $"{at}.{name}");

    private static ReadOnlyMemory<byte> Message(string role, JsonElement content, string at)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("role"u8, role);
        if (content.ValueKind == JsonValueKind.String || role != "user") json.WriteString("content"u8, PlainText(content, at));
        else
        {
            json.WriteStartArray("content"u8);
            int index = 0;
            foreach (JsonElement part in Parts(content, at)) InputParts.Write(json, part, $"{at}.content[{index++}]");
            json.WriteEndArray();
        }
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static string PlainText(JsonElement content, string at)
    {
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        var text = new StringBuilder();
        int index = 0;
        foreach (JsonElement part in Parts(content, at))
        {
            string place = $"{at}.content[{index++}]";
            string? said = part.ValueKind != JsonValueKind.Object ? null : part.Text("type") switch
            {
                "input_text" or "output_text" or "text" => part.Text("text"),
                "refusal" => part.Text("refusal"),
                _ => null,
            };
            text.Append(said ?? throw Invalid($"{place} must be text here.", place));
        }
        return text.ToString();
    }

    private static JsonElement.ArrayEnumerator Parts(JsonElement content, string at) =>
        content.ValueKind == JsonValueKind.Array ? content.EnumerateArray() : throw Invalid($"{at} must have a text, or an array of parts.", at);
}
