using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging.Spool;

/// <summary>The records of the spool as JSON, equal to what <see cref="EventJson"/> reads; what has its default is left out. The result is valid until the thread writes its next record.</summary>
internal static class RecordJson
{
    [ThreadStatic]
    private static FlatJson? t_json;

    public static ReadOnlySpan<byte> Write(UsageRecord record)
    {
        FlatJson json = t_json ??= new FlatJson();
        json.Begin();
        json.Text("\"id\":"u8, record.Id);
        json.Text("\"tenant_id\":"u8, record.TenantId);
        json.Text("\"api_key_id\":"u8, record.ApiKeyId);
        json.Text("\"user_id\":"u8, record.UserId);
        json.Text("\"request_id\":"u8, record.RequestId);
        json.Text("\"run_id\":"u8, record.RunId);
        json.Text("\"agent\":"u8, record.Agent);
        json.Text("\"operation\":"u8, record.Operation);
        json.Text("\"requested_model\":"u8, record.RequestedModel);
        json.Text("\"model\":"u8, record.Model);
        json.Text("\"provider\":"u8, record.Provider);
        json.Number("\"input_tokens\":"u8, record.InputTokens);
        json.Count("\"cached_input_tokens\":"u8, record.CachedInputTokens);
        json.Count("\"cache_write_tokens\":"u8, record.CacheWriteTokens);
        json.Number("\"output_tokens\":"u8, record.OutputTokens);
        json.Count("\"reasoning_tokens\":"u8, record.ReasoningTokens);
        json.Flag("\"estimated\":"u8, record.Estimated);
        json.Number("\"cost_usd\":"u8, record.CostUsd);
        json.Text("\"status\":"u8, record.Status);
        json.Text("\"error_code\":"u8, record.ErrorCode);
        json.Flag("\"stream\":"u8, record.Stream);
        json.Count("\"attempt\":"u8, record.Attempt);
        json.Thousandths("\"latency_ms\":"u8, record.LatencyMs);
        json.Thousandths("\"first_token_ms\":"u8, record.FirstTokenMs);
        json.Time("\"at\":"u8, record.At);
        json.End();
        return json.Written;
    }

    public static ReadOnlySpan<byte> Write(RequestRecord record)
    {
        FlatJson json = t_json ??= new FlatJson();
        json.Begin();
        json.Text("\"id\":"u8, record.Id);
        json.Text("\"tenant_id\":"u8, record.TenantId);
        json.Text("\"api_key_id\":"u8, record.ApiKeyId);
        json.Text("\"user_id\":"u8, record.UserId);
        json.Text("\"request_id\":"u8, record.RequestId);
        json.Text("\"method\":"u8, record.Method);
        json.Text("\"path\":"u8, record.Path);
        json.Text("\"route\":"u8, record.Route);
        json.Number("\"status\":"u8, record.Status);
        json.Text("\"error_code\":"u8, record.ErrorCode);
        json.Thousandths("\"duration_ms\":"u8, record.DurationMs);
        if (record.RequestBytes is { } bytes) json.Number("\"request_bytes\":"u8, bytes);
        json.Text("\"model\":"u8, record.Model);
        json.Text("\"run_id\":"u8, record.RunId);
        json.Text("\"user_agent\":"u8, record.UserAgent);
        json.Text("\"client_address\":"u8, record.ClientAddress);
        json.Time("\"at\":"u8, record.At);
        json.End();
        return json.Written;
    }

    public static ReadOnlySpan<byte> Write(JourneyChange change)
    {
        FlatJson json = t_json ??= new FlatJson();
        json.Begin();
        json.Text("\"id\":"u8, change.Id);
        json.Text("\"journey_id\":"u8, change.JourneyId);
        json.Text("\"tenant_id\":"u8, change.TenantId);
        json.Text("\"kind\":"u8, change.Kind);
        json.Text("\"type\":"u8, change.Type);
        json.Text("\"user_id\":"u8, change.UserId);
        json.Time("\"at\":"u8, change.At);
        json.Text("\"step\":"u8, change.Step);
        json.Text("\"outcome\":"u8, change.Outcome);
        json.Thousandths("\"duration_ms\":"u8, change.DurationMs);
        json.Texts("\"metadata\":"u8, change.Metadata);
        json.End();
        return json.Written;
    }
}
