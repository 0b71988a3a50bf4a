using System.Diagnostics.Metrics;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Messaging;

/// <summary>
/// <c>user_journey_start_total</c>, <c>user_journey_complete_total</c>, <c>user_journey_duration_seconds</c> and
/// <c>user_journey_steps_total</c>. Types are the clients' words, so their labels are bounded.
/// </summary>
public sealed class JourneyMetrics
{
    private static readonly InstrumentAdvice<double> Seconds = new() { HistogramBucketBoundaries = [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600] };

    private readonly SeriesCounter<(string Type, string Outcome)> _started = new SeriesCounter<(string Type, string Outcome)>("user_journey_start", "Journeys started.", static k => [new("type", k.Type)]);
    private readonly SeriesCounter<(string Type, string Outcome)> _ended = new SeriesCounter<(string Type, string Outcome)>("user_journey_complete", "Journeys ended, by outcome.", static k => [new("type", k.Type), new("outcome", k.Outcome)]);
    private readonly SeriesCounter<(string Type, string Outcome)> _steps = new SeriesCounter<(string Type, string Outcome)>("user_journey_steps", "Steps of journeys.", static k => [new("type", k.Type)]);
    private readonly Histogram<double> _duration = PlatformTelemetry.Meter.CreateHistogram("user_journey_duration", "s", "Time from the start to the end of a journey.", null, Seconds);
    private readonly BoundedLabel _types = new(20);

    public void Started(string type) => _started.Add((_types.Of(type), ""));

    public void Stepped(string type, int count = 1) => _steps.Add((_types.Of(type), ""), count);

    public void Ended(string type, string outcome, double? durationMs)
    {
        string label = _types.Of(type);
        _ended.Add((label, outcome));
        if (durationMs is { } ms) _duration.Record(ms / 1000, new("type", label), new KeyValuePair<string, object?>("outcome", outcome));
    }

    /// <summary>Counts what a change says.</summary>
    public void Count(JourneyChange change)
    {
        switch (change.Kind)
        {
            case "started":
                Started(change.Type);
                break;
            case "step":
                Stepped(change.Type);
                break;
            case "recorded":
                Started(change.Type);
                if (!string.IsNullOrEmpty(change.Step)) Stepped(change.Type, change.Step.AsSpan().Count(',') + 1);
                Ended(change.Type, change.Outcome ?? "completed", change.DurationMs);
                break;
            default:
                Ended(change.Type, change.Kind, change.DurationMs);
                break;
        }
    }
}
