using System.Text;
using System.Text.Json;

namespace MultiAgent.Models.Providers.Anthropic;

/// <summary>Translates a whole message into a <c>chat.completion</c>.</summary>
internal static class AnthropicAnswer
{
    /// <exception cref="InvalidDataException">The body is no message.</exception>
    public static (byte[] Body, TokenUsage Usage) Translate(ReadOnlyMemory<byte> body, string? structuredTool, long created)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = 256 });
            JsonElement message = document.RootElement;
            if (message.Member("content"u8).ValueKind != JsonValueKind.Array) throw new InvalidDataException("The provider's answer has no content.");

            StringBuilder? text = null;
            var calls = new List<ToolCall>();
            foreach (JsonElement block in message.Member("content"u8).EnumerateArray())
            {
                switch (block.Text("type"u8))
                {
                    case "text":
                        (text ??= new StringBuilder()).Append(block.Text("text"u8));
                        break;
                    case "tool_use" when structuredTool is not null && block.Text("name"u8) == structuredTool:
                        // What was said before the structured answer would make the content invalid JSON.
                        text = new StringBuilder(Input(block));
                        break;
                    case "tool_use":
                        calls.Add(new ToolCall(block.Text("id"u8) ?? "", block.Text("name"u8) ?? "", Input(block)));
                        break;
                }
            }
            var usage = default(AnthropicUsage);
            usage.Add(message.Member("usage"u8));
            var choice = new ChatChoice(text?.ToString() ?? (calls.Count > 0 ? null : ""), calls, FinishReason(message.Text("stop_reason"u8), calls.Count > 0));
            TokenUsage tokens = usage.ToTokenUsage();
            return (ChatCompletionWriter.Write(CompletionId(message.Text("id"u8)), created, message.Text("model"u8) ?? "", [choice], tokens), tokens);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException("The provider's answer is not a message.", e);
        }
    }

    public static string CompletionId(string? messageId) => $"chatcmpl-{messageId}";

    public static string FinishReason(string? stopReason, bool hasToolCalls) => stopReason switch
    {
        "max_tokens" or "model_context_window_exceeded" => "length",
        "refusal" => "content_filter",
        // tool_use without a call that the client sees is the structured answer.
        "tool_use" when hasToolCalls => "tool_calls",
        _ => "stop",
    };

    private static string Input(JsonElement block) => block.Member("input"u8) is { ValueKind: JsonValueKind.Object } input ? input.GetRawText() : "{}";
}
