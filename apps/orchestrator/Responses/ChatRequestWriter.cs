using System.Buffers;
using System.Text.Json;
using static MultiAgent.Orchestrator.Responses.ResponseRequest;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>Says a request of the Responses API in the chat-completions dialect, which is what runs and providers speak.</summary>
internal static class ChatRequestWriter
{
    private static readonly string[] Same = ["temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier", "prompt_cache_key", "variables"];

    public static ReadOnlyMemory<byte> Write(JsonElement root)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteStartArray("messages"u8);
        foreach (ReadOnlyMemory<byte> message in InputItems.ToMessages(root)) json.WriteRawValue(message.Span, skipInputValidation: true);
        json.WriteEndArray();
        WriteTools(json, root);
        WriteToolChoice(json, root);
        WriteText(json, root);
        foreach (string name in Same)
        {
            if (root.Member(name) is not { } value) continue;
            json.WritePropertyName(name);
            value.WriteTo(json);
        }
        Bound(root, "temperature", 0, 2);
        Bound(root, "top_p", 0, 1);
        if (root.Member("max_output_tokens") is { } most)
        {
            if (most.ValueKind != JsonValueKind.Number || !most.TryGetInt32(out int tokens) || tokens < 1) throw Invalid("'max_output_tokens' must be a whole number of at least 1.", "max_output_tokens");
            json.WriteNumber("max_completion_tokens"u8, tokens);
        }
        if (root.Member("reasoning")?.Text("effort") is { } effort) json.WriteString("reasoning_effort"u8, effort);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static void Bound(JsonElement root, string name, double least, double most)
    {
        if (root.Member(name) is { } value && !(value.ValueKind == JsonValueKind.Number && value.GetDouble() >= least && value.GetDouble() <= most))
            throw Invalid($"'{name}' must be a number between {least} and {most}.", name);
    }

    private static void WriteTools(Utf8JsonWriter json, JsonElement root)
    {
        if (root.Member("tools") is not { } tools) return;
        if (tools.ValueKind != JsonValueKind.Array) throw Invalid("'tools' must be an array.", "tools");
        if (tools.GetArrayLength() == 0) return;
        json.WriteStartArray("tools"u8);
        int index = 0;
        foreach (JsonElement tool in tools.EnumerateArray())
        {
            string at = $"tools[{index++}]";
            if (tool.ValueKind != JsonValueKind.Object) throw Invalid($"{at} must be an object.", at);
            if (tool.Text("type") is var type && type != "function")
                throw Invalid($"{at}: tools of type '{type}' do not exist here; declare a function, or give the agent a tool of the platform.", $"{at}.type");
            string name = tool.Text("name") ?? throw Invalid($"{at} needs a name.", $"{at}.name");
            json.WriteStartObject();
            json.WriteString("type"u8, "function"u8);
            json.WriteStartObject("function"u8);
            json.WriteString("name"u8, name);
            Copy(json, tool, "description", "parameters", "strict");
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteToolChoice(Utf8JsonWriter json, JsonElement root)
    {
        if (root.Member("tool_choice") is not { } choice) return;
        if (choice.Is("auto") || choice.Is("none") || choice.Is("required"))
        {
            json.WritePropertyName("tool_choice"u8);
            choice.WriteTo(json);
            return;
        }
        if (choice.ValueKind != JsonValueKind.Object || choice.Text("type") != "function" || choice.Text("name") is not { } name)
            throw Invalid("'tool_choice' must be 'auto', 'none', 'required', or {\"type\": \"function\", \"name\": …}.", "tool_choice");
        json.WriteStartObject("tool_choice"u8);
        json.WriteString("type"u8, "function"u8);
        json.WriteStartObject("function"u8);
        json.WriteString("name"u8, name);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter json, JsonElement root)
    {
        if (root.Member("text") is not { } text) return;
        if (text.ValueKind != JsonValueKind.Object) throw Invalid("'text' must be an object.", "text");
        if (text.Text("verbosity") is { } verbosity) json.WriteString("verbosity"u8, verbosity);
        if (text.Member("format") is not { } format) return;
        if (format.ValueKind != JsonValueKind.Object) throw Invalid("'text.format' must be an object.", "text.format");
        switch (format.Text("type"))
        {
            case "text":
                return;
            case "json_object":
                json.WriteStartObject("response_format"u8);
                json.WriteString("type"u8, "json_object"u8);
                json.WriteEndObject();
                return;
            case "json_schema":
                if (format.Text("name") is null) throw Invalid("'text.format.name' is required.", "text.format.name");
                if (format.Member("schema") is not { ValueKind: JsonValueKind.Object }) throw Invalid("'text.format.schema' must be a JSON schema.", "text.format.schema");
                json.WriteStartObject("response_format"u8);
                json.WriteString("type"u8, "json_schema"u8);
                json.WriteStartObject("json_schema"u8);
                Copy(json, format, "name", "description", "schema", "strict");
                json.WriteEndObject();
                json.WriteEndObject();
                return;
            default:
                throw Invalid("'text.format.type' must be 'text', 'json_object' or 'json_schema'.", "text.format.type");
        }
    }

    private static void Copy(Utf8JsonWriter json, JsonElement from, params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (from.Member(name) is not { } value) continue;
            json.WritePropertyName(name);
            value.WriteTo(json);
        }
    }
}
