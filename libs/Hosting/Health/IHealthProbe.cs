namespace MultiAgent.Hosting.Health;

/// <summary>Whether one dependency or inner part works and moves.</summary>
public interface IHealthProbe
{
    /// <summary>The deployable it belongs to; <c>/api/v1/&lt;service&gt;/health</c> shows its own.</summary>
    string Service { get; }

    /// <summary>Short name, e.g. <c>sqlite:orchestrator</c>.</summary>
    string Name { get; }

    /// <summary>Checks within the token's time. An exception counts as down.</summary>
    ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken);
}

/// <summary>Makes probes for what is known only while the process runs, such as model providers.</summary>
public interface IHealthProbeSource
{
    IEnumerable<IHealthProbe> Probes { get; }
}

/// <summary>State of a dependency.</summary>
public enum ProbeStatus
{
    Ok,
    /// <summary>Works with less: shown, but the instance stays ready.</summary>
    Degraded,
    /// <summary>Does not work: the instance is not ready.</summary>
    Down,
}

/// <summary>Outcome of a probe; the detail is for operators and holds no secret.</summary>
public readonly record struct ProbeResult(ProbeStatus Status, string? Detail = null)
{
    /// <summary>The dependency's latency, where it was measured elsewhere; null: the time of the probe itself is shown.</summary>
    public TimeSpan? Latency { get; init; }

    public static ProbeResult Ok(string? detail = null) => new(ProbeStatus.Ok, detail);
    public static ProbeResult Degraded(string detail) => new(ProbeStatus.Degraded, detail);
    public static ProbeResult Down(string detail) => new(ProbeStatus.Down, detail);
}
