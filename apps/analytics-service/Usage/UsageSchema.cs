using MultiAgent.Analytics.Records;

namespace MultiAgent.Analytics.Usage;

/// <summary>The table of <see cref="Contracts.Events.UsageRecord"/>.</summary>
internal static class UsageSchema
{
    public static RecordSchema Columns { get; } = new("usage",
        new("id", RecordKind.Text, true), new("tenant_id", RecordKind.Text, true), new("api_key_id", RecordKind.Text), new("user_id", RecordKind.Text), new("request_id", RecordKind.Text, true),
        new("run_id", RecordKind.Text), new("agent", RecordKind.Text), new("operation", RecordKind.Text, true), new("requested_model", RecordKind.Text, true), new("model", RecordKind.Text, true),
        new("provider", RecordKind.Text, true), new("input_tokens", RecordKind.Integer), new("cached_input_tokens", RecordKind.Integer), new("cache_write_tokens", RecordKind.Integer),
        new("output_tokens", RecordKind.Integer), new("reasoning_tokens", RecordKind.Integer), new("estimated", RecordKind.Boolean), new("cost_usd", RecordKind.Cost), new("status", RecordKind.Text, true),
        new("error_code", RecordKind.Text), new("stream", RecordKind.Boolean), new("attempt", RecordKind.Integer), new("latency_ms", RecordKind.Real), new("first_token_ms", RecordKind.OptionalReal),
        new("at", RecordKind.Time, true));

    public static RecordGrouping[] Groupings { get; } =
    [
        RecordGrouping.By("model", "model"), RecordGrouping.By("provider", "provider"), RecordGrouping.By("agent", "agent"), RecordGrouping.By("apiKey", "api_key_id"),
        RecordGrouping.By("user", "user_id"), RecordGrouping.By("operation", "operation"), RecordGrouping.By("status", "status"), RecordGrouping.Day, RecordGrouping.Hour,
    ];
}
