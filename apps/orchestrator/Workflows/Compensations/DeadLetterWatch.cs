using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>Counts what is open, for the alert, and opens again what a process that died had promised to retry.</summary>
internal sealed partial class DeadLetterWatch : BackgroundService
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly IDeadLetterStore _store;
    private readonly TimeProvider _time;
    private readonly ILogger<DeadLetterWatch> _logger;
    private long _open;

    public DeadLetterWatch(IDeadLetterStore store, TimeProvider time, ILogger<DeadLetterWatch> logger)
    {
        (_store, _time, _logger) = (store, time, logger);
        PlatformTelemetry.Meter.CreateObservableGauge("orchestrator_compensation_dead_letters", () => Volatile.Read(ref _open), null, "Compensations that failed and that nobody has dealt with, of all tenants; each replica tells the same.");
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Beat, _time);
        do
        {
            try
            {
                await _store.ReopenAsync(_time.GetUtcNow() - Patience);
                Volatile.Write(ref _open, await _store.CountOpenAsync());
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "DeadLettersNotCounted", Level = LogLevel.Warning, Message = "Compensations that failed could not be counted; trying again in a moment")]
    private partial void LogFailed(Exception e);
}
