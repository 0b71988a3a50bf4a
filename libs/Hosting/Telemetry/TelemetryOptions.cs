namespace MultiAgent.Hosting.Telemetry;

/// <summary>Section <c>Telemetry</c>. OTLP export follows the standard variables <c>OTEL_EXPORTER_OTLP_*</c>.</summary>
public sealed class TelemetryOptions
{
    /// <summary>Slugs of the tenants that get a metric label of their own; all others are <c>other</c>. Default: none.</summary>
    public string[] TenantLabels { get; set; } = [];

    /// <summary>How many distinct models or agents get a metric label of their own. Default 100.</summary>
    public int MaxLabelValues { get; set; } = 100;
}
