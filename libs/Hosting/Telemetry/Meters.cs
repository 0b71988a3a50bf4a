using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace MultiAgent.Hosting.Telemetry;

/// <summary>The meter and activity source of the platform. Names of instruments follow OpenTelemetry; Prometheus names follow from them.</summary>
public static class PlatformTelemetry
{
    public const string Name = "MultiAgent";

    public static readonly Meter Meter = new(Name);

    /// <summary>Spans; costs nothing while nobody listens.</summary>
    public static readonly ActivitySource Activities = new(Name);

    /// <summary>Bounds in seconds that resolve both a cached answer and a minute of generation.</summary>
    public static readonly InstrumentAdvice<double> LatencySeconds = new()
    {
        HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60],
    };
}
