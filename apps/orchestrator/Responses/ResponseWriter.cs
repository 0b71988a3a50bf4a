using System.Buffers;
using System.Text.Json;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>Writes the response object.</summary>
internal static class ResponseWriter
{
    private const string RunPrefix = "run_";
    private const string Prefix = "resp_";

    /// <summary>The response of a run has the run's id, with a prefix of its own.</summary>
    public static string IdOf(RunRecord run) => Prefix + run.Id[RunPrefix.Length..];

    public static string SuffixOf(RunRecord run) => run.Id[RunPrefix.Length..];

    /// <summary>The run behind a response; null when it is not an id of one.</summary>
    /// <param name="id">Untrusted.</param>
    public static string? RunIdOf(string id) => Contracts.Ids.IsValid(id, "resp") ? RunPrefix + id[Prefix.Length..] : null;

    public static string StatusOf(RunRecord run) => run.Status switch
    {
        RunStatus.Queued => "queued",
        RunStatus.Failed => "failed",
        RunStatus.Cancelled => "cancelled",
        // It handed its calls out, which is how such a turn ends.
        RunStatus.Completed => run.Reason is null or "tool_calls" ? "completed" : "incomplete",
        _ => "in_progress",
    };

    public static byte[] Whole(ResponseRequest request, RunRecord run, string status, IReadOnlyList<ResponseItem> items)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        Write(json, request, run, status, items);
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    public static void Write(Utf8JsonWriter json, ResponseRequest request, RunRecord run, string status, IReadOnlyList<ResponseItem> items)
    {
        JsonElement root = request.Root;
        json.WriteStartObject();
        json.WriteString("id"u8, IdOf(run));
        json.WriteString("object"u8, "response"u8);
        json.WriteNumber("created_at"u8, run.CreatedAt.ToUnixTimeSeconds());
        if (run.EndedAt is { } at && status == "completed") json.WriteNumber("completed_at"u8, at.ToUnixTimeSeconds());
        json.WriteString("status"u8, status);
        json.WriteBoolean("background"u8, request.Background);
        if (run.Error is { } error)
        {
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, error.Status switch { 429 => "rate_limit_exceeded", >= 500 => "server_error", _ => error.Code });
            json.WriteString("message"u8, error.Message);
            json.WriteEndObject();
        }
        else json.WriteNull("error"u8);
        if (status == "incomplete")
        {
            json.WriteStartObject("incomplete_details"u8);
            json.WriteString("reason"u8, run.Reason == "length" ? "max_output_tokens" : run.Reason);
            json.WriteEndObject();
        }
        else json.WriteNull("incomplete_details"u8);
        json.WriteString("instructions"u8, request.Instructions);
        Echo(json, root, "max_output_tokens");
        json.WriteString("model"u8, request.Model);
        json.WriteStartArray("output"u8);
        foreach (ResponseItem item in items) item.Write(json);
        json.WriteEndArray();
        Echo(json, root, "parallel_tool_calls", "true");
        json.WriteString("previous_response_id"u8, request.PreviousId);
        if (request.ConversationId is { } conversation)
        {
            json.WriteStartObject("conversation"u8);
            json.WriteString("id"u8, conversation);
            json.WriteEndObject();
        }
        json.WriteStartObject("reasoning"u8);
        json.WriteString("effort"u8, root.Member("reasoning")?.Text("effort"));
        json.WriteNull("summary"u8);
        json.WriteEndObject();
        json.WriteBoolean("store"u8, request.Store);
        Echo(json, root, "temperature");
        Echo(json, root, "text", """{"format":{"type":"text"}}""");
        Echo(json, root, "tool_choice", "\"auto\"");
        Echo(json, root, "tools", "[]");
        Echo(json, root, "top_p");
        json.WriteString("truncation"u8, "auto"u8);
        json.WritePropertyName("usage"u8);
        if (run.IsFinal) WriteUsage(json, run);
        else json.WriteNullValue();
        Echo(json, root, "user");
        Echo(json, root, "metadata", "{}");
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, RunRecord run)
    {
        json.WriteStartObject();
        json.WriteNumber("input_tokens"u8, run.Usage.InputTokens);
        json.WriteStartObject("input_tokens_details"u8);
        json.WriteNumber("cached_tokens"u8, run.Usage.CachedInputTokens);
        json.WriteEndObject();
        json.WriteNumber("output_tokens"u8, run.Usage.OutputTokens);
        json.WriteStartObject("output_tokens_details"u8);
        json.WriteNumber("reasoning_tokens"u8, run.Usage.ReasoningTokens);
        json.WriteEndObject();
        json.WriteNumber("total_tokens"u8, run.Usage.InputTokens + run.Usage.OutputTokens);
        json.WriteEndObject();
    }

    /// <summary>A member of the request, or what it stands at without being named.</summary>
    private static void Echo(Utf8JsonWriter json, JsonElement root, string name, string otherwise = "null")
    {
        json.WritePropertyName(name);
        if (root.Member(name) is { } value) value.WriteTo(json);
        else json.WriteRawValue(otherwise, skipInputValidation: true);
    }
}
