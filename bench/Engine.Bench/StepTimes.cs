using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace MultiAgent.Bench.Engine;

/// <summary>Collects how long each step took, as the engine's own histogram gets it.</summary>
internal sealed class StepTimes : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<double> _milliseconds = new();

    public StepTimes()
    {
        _listener.InstrumentPublished = static (instrument, listener) =>
        {
            if (instrument.Name == "orchestrator_step_duration") listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<double>((_, seconds, _, _) => _milliseconds.Enqueue(seconds * 1000));
        _listener.Start();
    }

    public int Count => _milliseconds.Count;

    public double[] Take()
    {
        double[] all = [.. _milliseconds];
        _milliseconds.Clear();
        Array.Sort(all);
        return all;
    }

    public static double Percentile(double[] sorted, double p) => sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * p))];

    public void Dispose() => _listener.Dispose();
}
