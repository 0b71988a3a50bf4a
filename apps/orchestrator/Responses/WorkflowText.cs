using System.Text;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>A workflow behind a model's name: the last message of the user is its input, and its output is the answer.</summary>
internal static class WorkflowText
{
    /// <summary>
    /// The inputs that a message stands for: an object, or the text itself where the workflow has one input that is a text and needs no other.
    /// </summary>
    /// <exception cref="ApiException">400: it does not fit the workflow's inputs.</exception>
    public static JsonElement Inputs(WorkflowVersion workflow, IReadOnlyList<ChatMessage> messages, string param)
    {
        string text = messages.LastOrDefault(m => m.Role == ChatRole.User) is { Json.Length: > 0 } last ? TextOf(last)
            : throw new ApiException(400, ErrorCodes.InvalidRequest, "A workflow takes the last message of the user as its input, and there is none.", param);
        JsonElement inputs = AsObject(text) ?? (SingleText(workflow.Definition.Inputs?.Source) is { } name
            ? JsonSerializer.SerializeToElement(new Dictionary<string, string> { [name] = text })
            : throw new ApiException(400, ErrorCodes.ValidationFailed, $"The workflow '{workflow.Slug}' takes its inputs as a JSON object: send one as the user's message.", param));
        if (workflow.Definition.Inputs?.Check(inputs) is { Count: > 0 } wrong)
            throw new ApiException(400, ErrorCodes.ValidationFailed, $"The message does not fit the inputs of the workflow '{workflow.Slug}': {string.Join("; ", wrong)}.", param);
        return inputs;
    }

    /// <summary>A workflow's output as text: a text as it is, everything else as JSON.</summary>
    public static string OfOutput(byte[]? output)
    {
        if (output is null) return "";
        using var document = JsonDocument.Parse(output, new JsonDocumentOptions { MaxDepth = 1000 });
        return document.RootElement.ValueKind == JsonValueKind.String ? document.RootElement.GetString()! : Encoding.UTF8.GetString(output);
    }

    /// <summary>The one input that a text can stand for: the only one required, or the only one there is.</summary>
    private static string? SingleText(JsonElement? schema)
    {
        // Without a shape anything goes, and a text is called so.
        if (schema is not { } shape) return "input";
        if (!shape.TryGetProperty("properties", out JsonElement properties)) return null;
        string[] required = shape.TryGetProperty("required", out JsonElement names) ? [.. names.EnumerateArray().Select(n => n.GetString()!)] : [];
        string[] texts = [.. properties.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Object && p.Value.TryGetProperty("type", out JsonElement type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("string")).Select(p => p.Name)];
        return required.Length == 1 && texts.Contains(required[0]) ? required[0] : required.Length == 0 && texts.Length == 1 ? texts[0] : null;
    }

    private static JsonElement? AsObject(string text)
    {
        if (!text.AsSpan().TrimStart().StartsWith("{", StringComparison.Ordinal)) return null;
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string TextOf(ChatMessage message)
    {
        using var document = JsonDocument.Parse(message.Json);
        if (!document.RootElement.TryGetProperty("content", out JsonElement content)) return "";
        if (content.ValueKind == JsonValueKind.String) return content.GetString()!;
        if (content.ValueKind != JsonValueKind.Array) return "";
        return string.Concat(content.EnumerateArray().Select(p => p.ValueKind == JsonValueKind.Object && p.TryGetProperty("text", out JsonElement text) && text.ValueKind == JsonValueKind.String ? text.GetString() : ""));
    }
}
