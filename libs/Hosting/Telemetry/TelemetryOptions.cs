namespace MultiAgent.Hosting.Telemetry;

/// <summary>Section <c>Telemetry</c>. OTLP export follows the standard variables <c>OTEL_EXPORTER_OTLP_*</c>.</summary>
public sealed class TelemetryOptions
{
    /// <summary>How many distinct models or agents get a metric label of their own. Default 100.</summary>
    public int MaxLabelValues { get; set; } = 100;
}
