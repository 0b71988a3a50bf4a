using MultiAgent.Analytics.Records;

namespace MultiAgent.Analytics.Requests;

/// <summary>The table of <see cref="Contracts.Events.RequestRecord"/>.</summary>
internal static class RequestSchema
{
    public static RecordSchema Columns { get; } = new("request",
        new("id", RecordKind.Text, true), new("tenant_id", RecordKind.Text, true), new("api_key_id", RecordKind.Text), new("user_id", RecordKind.Text), new("request_id", RecordKind.Text, true),
        new("method", RecordKind.Text, true), new("path", RecordKind.Text, true), new("route", RecordKind.Text), new("status", RecordKind.Integer, true), new("error_code", RecordKind.Text),
        new("duration_ms", RecordKind.Real, true), new("request_bytes", RecordKind.OptionalInteger), new("model", RecordKind.Text), new("run_id", RecordKind.Text),
        new("user_agent", RecordKind.Text), new("client_address", RecordKind.Text), new("at", RecordKind.Time, true));

    public static RecordGrouping[] Groupings { get; } =
    [
        RecordGrouping.By("method", "method"), RecordGrouping.By("route", "route"), new("status", "CAST(status AS TEXT)", "status::text"), RecordGrouping.By("errorCode", "error_code"),
        RecordGrouping.By("apiKey", "api_key_id"), RecordGrouping.By("user", "user_id"), RecordGrouping.By("model", "model"), RecordGrouping.Day, RecordGrouping.Hour,
    ];
}
