namespace MultiAgent.Bench.Gateway;

/// <summary>One run of load against one server.</summary>
internal sealed record Round(LoadResult Load, double CpuSeconds, long? AllocatedBytes, long ResidentBytes)
{
    /// <summary>Cores that processes outside of the benchmark kept busy; much of it makes the round doubtful.</summary>
    public double OtherCores { get; init; }

    public double RequestsPerSecond => Load.Requests / Load.Seconds;

    public double CpuMillisecondsPerRequest => CpuSeconds * 1000 / Load.Requests;

    public double? KilobytesPerRequest => AllocatedBytes / 1024.0 / Load.Requests;
}

/// <summary>All rounds of one server in one scenario, or the reason why there are none.</summary>
internal sealed record Measurement(string Label, IReadOnlyList<Round> Rounds, string? Problem = null)
{
    public double Median(Func<Round, double> value)
    {
        var sorted = Rounds.Select(value).Order().ToArray();
        if (sorted.Length == 0)
            return double.NaN;
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    public long Failures => Rounds.Sum(round => round.Load.Failures);
}

/// <summary>A table of the report.</summary>
internal sealed record ScenarioResult(string Name, string Title, Layout Layout, IReadOnlyList<Measurement> Measurements);

internal enum Layout
{
    ClosedLoop,
    Paced,
    OpenLoop,
    Abort,
    Memory,
}
