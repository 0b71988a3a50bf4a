namespace MultiAgent.Bench.Gateway;

/// <summary>What a load generator saw.</summary>
internal sealed record LoadResult
{
    public required long Requests { get; init; }

    public required long Failures { get; init; }

    public required double Seconds { get; init; }

    /// <summary>Time until the answer was complete, in ms.</summary>
    public required Percentiles Latency { get; init; }

    /// <summary>Time until the first byte of the answer, in ms, where it was measured.</summary>
    public Percentiles? FirstByte { get; init; }
}

internal sealed record Percentiles(double P50, double P90, double P99, double P999)
{
    /// <summary>From all samples, in nanoseconds; no buckets, so nothing is rounded.</summary>
    public static Percentiles Of(long[] nanoseconds)
    {
        Array.Sort(nanoseconds);
        double At(double share) => nanoseconds.Length == 0
            ? double.NaN
            : nanoseconds[Math.Min(nanoseconds.Length - 1, (int)(share * nanoseconds.Length))] / 1e6;
        return new Percentiles(At(0.5), At(0.9), At(0.99), At(0.999));
    }
}
