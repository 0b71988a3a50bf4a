using System.Text.Json;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>What a request says about tools and structured output, and how that is said to Anthropic.</summary>
internal sealed class AnthropicTools
{
    private readonly JsonElement _root;
    private readonly List<JsonElement> _functions = [];
    private readonly JsonElement _schema;
    private readonly string? _schemaDescription;

    public AnthropicTools(JsonElement root)
    {
        _root = root;
        int index = 0;
        foreach (JsonElement tool in root.Member("tools"u8).Items())
        {
            if (tool.Text("type"u8) is { } type && type != "function")
                throw new RequestRejectedException(OpenAiError.Unsupported($"Tools of type '{type}' are not supported by this model.", $"tools[{index}].type"));
            JsonElement function = tool.Member("function"u8);
            if (string.IsNullOrEmpty(function.Text("name"u8)))
                throw new RequestRejectedException(OpenAiError.Invalid("A tool needs a function with a name.", $"tools[{index}].function.name"));
            _functions.Add(function);
            index++;
        }
        JsonElement format = root.Member("response_format"u8);
        if (format.Text("type"u8) == "json_schema")
        {
            JsonElement wrapper = format.Member("json_schema"u8);
            _schema = wrapper.Member("schema"u8);
            _schemaDescription = wrapper.Text("description"u8);
            StructuredTool = "json_answer";
            while (_functions.Exists(f => f.Text("name"u8) == StructuredTool)) StructuredTool += "_";
        }
    }

    /// <summary>Name of the tool through which a schema-bound answer comes back; null when none was asked for.</summary>
    public string? StructuredTool { get; }

    /// <summary>The model must call a tool; extended thinking is not allowed then.</summary>
    public bool Forced => StructuredTool is not null || Choice() is "any" or "tool";

    /// <param name="usedNames">Tools that the conversation has called: Anthropic wants every one declared.</param>
    public void Write(Utf8JsonWriter writer, IReadOnlyCollection<string> usedNames)
    {
        bool onlyHistory = _functions.Count == 0 && StructuredTool is null;
        if (onlyHistory && usedNames.Count == 0) return;
        writer.WriteStartArray("tools");
        foreach (JsonElement function in _functions) WriteTool(writer, function.Text("name"u8)!, function.Text("description"u8), function.Member("parameters"u8));
        if (StructuredTool is not null) WriteTool(writer, StructuredTool, _schemaDescription ?? "Gives the final answer. Call it once, with the complete answer.", _schema);
        if (onlyHistory) foreach (string name in usedNames) WriteTool(writer, name, null, default);
        writer.WriteEndArray();

        string? choice = onlyHistory ? "none" : Choice();
        bool single = _root.Flag("parallel_tool_calls"u8) == false;
        if (StructuredTool is not null && choice != "tool")
        {
            // With tools of the client's beside it, the model calls either one of them or the answer, but always one.
            choice = _functions.Count == 0 || choice == "none" ? "answer" : "any";
            single = true;
        }
        if (choice is null && !single) return;
        writer.WriteStartObject("tool_choice");
        writer.WriteString("type", choice is "answer" ? "tool" : choice ?? "auto");
        if (choice == "answer") writer.WriteString("name", StructuredTool);
        else if (choice == "tool") writer.WriteString("name", _root.Member("tool_choice"u8).Member("function"u8).Text("name"u8));
        if (single && choice != "none") writer.WriteBoolean("disable_parallel_tool_use", true);
        writer.WriteEndObject();
    }

    private string? Choice()
    {
        if (_functions.Count == 0) return null;
        JsonElement choice = _root.Member("tool_choice"u8);
        string? word = choice.ValueKind switch
        {
            JsonValueKind.String => choice.GetString(),
            JsonValueKind.Object => choice.Text("type"u8),
            _ => null,
        };
        if (word == "allowed_tools") word = choice.Member("allowed_tools"u8).Text("mode"u8);
        return word switch
        {
            null => null,
            "auto" => "auto",
            "none" => "none",
            "required" => "any",
            "function" when choice.Member("function"u8).Text("name"u8) is { } name && _functions.Exists(f => f.Text("name"u8) == name) => "tool",
            "function" => throw new RequestRejectedException(OpenAiError.Invalid("'tool_choice' names a function that is not among 'tools'.", "tool_choice")),
            _ => throw new RequestRejectedException(OpenAiError.Invalid("'tool_choice' must be none, auto, required or a function.", "tool_choice")),
        };
    }

    private static void WriteTool(Utf8JsonWriter writer, string name, string? description, JsonElement schema)
    {
        writer.WriteStartObject();
        writer.WriteString("name", name);
        if (!string.IsNullOrEmpty(description)) writer.WriteString("description", description);
        writer.WriteStartObject("input_schema");
        if (!schema.Member("type"u8).IsDefined()) writer.WriteString("type", "object");
        if (schema.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty member in schema.EnumerateObject())
                if (member.Value.ValueKind != JsonValueKind.Null || !member.NameEquals("type"u8)) member.WriteTo(writer);
        }
        writer.WriteEndObject();
        writer.WriteEndObject();
    }
}
