using System.Text;
using System.Text.Json;

namespace MultiAgent.Models.Providers.Local;

/// <summary>One message: who said what. A tool's message carries the name of the tool that was called.</summary>
internal sealed record LocalMessage(string Role, string Text, string? ToolName = null);

/// <summary>A function that may be called.</summary>
internal sealed record LocalTool(string Name, string Description, JsonElement Parameters);

/// <summary>A chat request as the local model sees it. Its JSON elements live as long as the request's document.</summary>
internal sealed class LocalConversation
{
    private const int MaxChoices = 128;

    private LocalConversation()
    {
    }

    public List<LocalMessage> Messages { get; } = [];

    public List<LocalTool> Tools { get; } = [];

    /// <summary><c>auto</c>, <c>none</c>, <c>required</c>, or <c>function</c> with <see cref="ForcedTool"/>.</summary>
    public string ToolChoice { get; private set; } = "auto";

    public string? ForcedTool { get; private set; }

    public bool ParallelToolCalls { get; private set; } = true;

    /// <summary><c>text</c>, <c>json_object</c> or <c>json_schema</c> with <see cref="Schema"/>.</summary>
    public string Format { get; private set; } = "text";

    public JsonElement Schema { get; private set; }

    public List<string> Stop { get; } = [];

    public int? MaxTokens { get; private set; }

    public int Choices { get; private set; } = 1;

    /// <summary>The last message of the user; empty when there is none.</summary>
    public string Question => Messages.FindLast(m => m.Role == "user")?.Text ?? "";

    /// <summary>Results of tools since the user last spoke.</summary>
    public IEnumerable<LocalMessage> FreshResults => Messages.Skip(Messages.FindLastIndex(m => m.Role == "user") + 1).Where(m => m.Role == "tool");

    /// <summary>The conversation waits for an answer to tool results.</summary>
    public bool AfterTool => Messages is [.., { Role: "tool" }];

    /// <exception cref="RequestRejectedException">The request is not one that can be answered.</exception>
    public static LocalConversation Read(JsonElement root)
    {
        var conversation = new LocalConversation();
        conversation.ReadMessages(root.Member("messages"u8));
        conversation.ReadTools(root);
        conversation.ReadOutput(root);
        return conversation;
    }

    private void ReadMessages(JsonElement messages)
    {
        if (messages.ValueKind != JsonValueKind.Array || messages.GetArrayLength() == 0)
            throw Invalid("'messages' must be an array with at least one message.", "messages");
        var calls = new Dictionary<string, string>();
        int index = 0;
        foreach (JsonElement message in messages.EnumerateArray())
        {
            string path = $"messages[{index++}]";
            string? role = message.Text("role"u8);
            if (role is not ("system" or "developer" or "user" or "assistant" or "tool" or "function"))
                throw Invalid($"'{path}.role' must be system, developer, user, assistant or tool.", $"{path}.role");
            foreach (JsonElement call in message.Member("tool_calls"u8).Items())
                if (call.Text("id"u8) is { } id && call.Member("function"u8).Text("name"u8) is { } name) calls[id] = name;
            string? tool = role is "tool" or "function"
                ? message.Text("name"u8) ?? calls.GetValueOrDefault(message.Text("tool_call_id"u8) ?? "", "tool")
                : null;
            Messages.Add(new LocalMessage(role switch { "developer" => "system", "function" => "tool", _ => role }, Content(message.Member("content"u8)), tool));
        }
    }

    private static string Content(JsonElement content)
    {
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        var text = new StringBuilder();
        foreach (JsonElement part in content.Items()) text.Append(part.Text("text"u8)).Append('\n');
        return text.ToString();
    }

    private void ReadTools(JsonElement root)
    {
        foreach (JsonElement tool in root.Member("tools"u8).Items())
        {
            JsonElement function = tool.Member("function"u8);
            if (function.Text("name"u8) is { Length: > 0 } name) Tools.Add(new LocalTool(name, function.Text("description"u8) ?? "", function.Member("parameters"u8)));
        }
        ParallelToolCalls = root.Flag("parallel_tool_calls"u8) ?? true;
        JsonElement choice = root.Member("tool_choice"u8);
        if (!choice.IsDefined()) return;
        ToolChoice = (choice.ValueKind == JsonValueKind.String ? choice.GetString() : choice.Text("type"u8)) ?? "";
        if (ToolChoice == "allowed_tools") ToolChoice = choice.Member("allowed_tools"u8).Text("mode"u8) ?? "auto";
        ForcedTool = choice.Member("function"u8).Text("name"u8);
        if (ToolChoice is not ("auto" or "none" or "required" or "function")) throw Invalid("'tool_choice' must be none, auto, required or a function.", "tool_choice");
        if (ToolChoice == "function" && !Tools.Exists(t => t.Name == ForcedTool)) throw Invalid("'tool_choice' names a function that is not among 'tools'.", "tool_choice");
        if (ToolChoice == "required" && Tools.Count == 0) throw Invalid("'tool_choice' is required, but there are no tools.", "tool_choice");
    }

    private void ReadOutput(JsonElement root)
    {
        JsonElement format = root.Member("response_format"u8);
        Format = format.Text("type"u8) ?? "text";
        Schema = format.Member("json_schema"u8).Member("schema"u8);
        if (Format == "json_schema" && Schema.ValueKind != JsonValueKind.Object) throw Invalid("'response_format.json_schema.schema' is required.", "response_format.json_schema.schema");

        JsonElement stop = root.Member("stop"u8);
        if (stop.ValueKind == JsonValueKind.String) Stop.Add(stop.GetString()!);
        Stop.AddRange(stop.Items().Where(s => s.ValueKind == JsonValueKind.String).Select(s => s.GetString()!));
        Stop.RemoveAll(s => s.Length == 0);

        long? most = root.Whole("max_completion_tokens"u8) ?? root.Whole("max_tokens"u8);
        if (most < 1) throw Invalid("'max_tokens' must be 1 or more.", "max_tokens");
        MaxTokens = most is null ? null : (int)Math.Min(most.Value, int.MaxValue);

        long choices = root.Whole("n"u8) ?? 1;
        if (choices is < 1 or > MaxChoices) throw Invalid($"'n' must be from 1 to {MaxChoices}.", "n");
        Choices = (int)choices;
    }

    private static RequestRejectedException Invalid(string message, string param) => new(OpenAiError.Invalid(message, param));
}
