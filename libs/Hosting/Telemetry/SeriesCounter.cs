using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace MultiAgent.Hosting.Telemetry;

/// <summary>
/// A counter for what happens on every request. The metrics library looks a series up by comparing all its labels at each
/// measurement; here it is found by a key of the caller's and read when somebody collects.
/// </summary>
/// <typeparam name="TKey">Identifies a series; small, and bounded in number like any labels.</typeparam>
public sealed class SeriesCounter<TKey> where TKey : struct, IEquatable<TKey>
{
    private readonly ConcurrentDictionary<TKey, Series> _series = new();
    private readonly Func<TKey, KeyValuePair<string, object?>[]> _labels;

    /// <param name="name">Name of the instrument, without <c>_total</c>.</param>
    /// <param name="description">What it counts.</param>
    /// <param name="labels">Labels of a series, asked for once.</param>
    public SeriesCounter(string name, string description, Func<TKey, KeyValuePair<string, object?>[]> labels)
    {
        _labels = labels;
        PlatformTelemetry.Meter.CreateObservableCounter(name, () => _series.Values.Select(s => new Measurement<long>(Interlocked.Read(ref s.Value), s.Labels)), null, description);
    }

    public void Add(TKey key, long value = 1)
    {
        if (!_series.TryGetValue(key, out Series? series)) series = _series.GetOrAdd(key, static (k, labels) => new Series(labels(k)), _labels);
        Interlocked.Add(ref series.Value, value);
    }

    private sealed class Series(KeyValuePair<string, object?>[] labels)
    {
        public readonly KeyValuePair<string, object?>[] Labels = labels;
        public long Value;
    }
}
