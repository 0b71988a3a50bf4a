using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Closes journeys that nobody has moved for long, also those that an earlier process left open.</summary>
internal sealed partial class JourneySweeper : BackgroundService
{
    private const int Batch = 500;

    private readonly IJourneyStore _store;
    private readonly JourneyMetrics _metrics;
    private readonly JourneyOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<JourneySweeper> _logger;
    private long _active;

    public JourneySweeper(IJourneyStore store, JourneyMetrics metrics, IOptions<JourneyOptions> options, TimeProvider time, ILogger<JourneySweeper> logger)
    {
        (_store, _metrics, _options, _time, _logger) = (store, metrics, options.Value, time, logger);
        PlatformTelemetry.Meter.CreateObservableGauge("active_user_journeys_total", CountActive, null, "Journeys that have started and not ended.");
    }

    // A gauge cannot wait: where the count is not there at once, this scrape shows what the one before it asked for.
    private long CountActive()
    {
        ValueTask<long> count = _store.CountActiveAsync();
        if (count.IsCompletedSuccessfully) return count.Result;
        _ = KeepAsync(count);
        return Interlocked.Read(ref _active);
    }

    private async Task KeepAsync(ValueTask<long> count)
    {
        try
        {
            Interlocked.Exchange(ref _active, await count);
        }
        catch (Exception e)
        {
            LogNotCounted(e);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(_options.SweepSeconds), _time);
        do
        {
            try
            {
                IReadOnlyList<(string Type, double DurationMs)> ended;
                do
                {
                    DateTimeOffset now = _time.GetUtcNow();
                    ended = await _store.AbandonAsync(now.AddMinutes(-_options.AbandonAfterMinutes), now, Batch);
                    foreach ((string type, double duration) in ended) _metrics.Ended(type, "abandoned", duration);
                }
                while (ended.Count == Batch);
            }
            catch (Exception e)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "JourneySweepFailed", Level = LogLevel.Warning, Message = "Abandoned journeys could not be closed; trying again")]
    private partial void LogFailed(Exception e);

    [LoggerMessage(EventId = 2, EventName = "JourneysNotCounted", Level = LogLevel.Warning, Message = "Active journeys could not be counted")]
    private partial void LogNotCounted(Exception e);
}
