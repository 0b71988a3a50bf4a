using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Forgets the idempotency keys of runs after a day, as those of other requests are; hourly, in batches.</summary>
internal sealed partial class RunKeyCleanup(IRunStore store, TimeProvider time, ILogger<RunKeyCleanup> logger) : BackgroundService
{
    private const int Batch = 1000;
    private static readonly TimeSpan Retention = TimeSpan.FromHours(24);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), time);
        do
        {
            try
            {
                while (await store.ForgetKeysAsync(time.GetUtcNow() - Retention, Batch) == Batch) stoppingToken.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "RunKeyCleanupFailed", Level = LogLevel.Warning, Message = "Expired idempotency keys of runs could not be forgotten; trying again in an hour")]
    private partial void LogFailed(Exception e);
}
