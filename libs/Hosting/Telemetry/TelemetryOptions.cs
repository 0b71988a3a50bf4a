namespace MultiAgent.Hosting.Telemetry;

/// <summary>Section <c>Telemetry</c>. OTLP export follows the standard variables <c>OTEL_EXPORTER_OTLP_*</c>.</summary>
public sealed class TelemetryOptions
{
    /// <summary>How many distinct models or agents get a metric label of their own. Default 100.</summary>
    public int MaxLabelValues { get; set; } = 100;

    /// <summary>Ids of tenants that always have a label of their own in the tenants' metrics. Default: none.</summary>
    public List<string> Tenants { get; set; } = [];

    /// <summary>How many further tenants get a label of their own, in the order in which they come; later ones are <c>other</c>. Default 20; 0 to 1 000.</summary>
    public int MaxTenants { get; set; } = 20;
}
