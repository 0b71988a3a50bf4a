using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Hosting.Idempotency;

/// <summary>Deletes expired keys hourly, in batches.</summary>
internal sealed partial class IdempotencyCleanup(IIdempotencyStore store, TimeProvider time, ILogger<IdempotencyCleanup> logger) : BackgroundService
{
    private const int Batch = 1000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), time);
        do
        {
            try
            {
                while (await store.DeleteExpiredAsync(Batch) == Batch) stoppingToken.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "IdempotencyCleanupFailed", Level = LogLevel.Warning, Message = "Expired idempotency keys could not be deleted; trying again in an hour")]
    private partial void LogFailed(Exception e);
}
