using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Data;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Deletes the blackboards of runs that are over and older than <c>Data:RunEventDays</c>, as their logs are; hourly and in batches.</summary>
internal sealed partial class BlackboardRetention(IBlackboardStore store, IOptions<DataOptions> options, TimeProvider time, ILogger<BlackboardRetention> logger) : BackgroundService
{
    private const int Batch = 1000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        int days = options.Value.RunEventDays;
        if (days == 0) return;
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), time);
        do
        {
            try
            {
                // Ids begin with their time.
                while (await store.ForgetAsync(Ids.LowerBound("run", time.GetUtcNow().AddDays(-days)), Batch) == Batch) stoppingToken.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "BlackboardRetentionFailed", Level = LogLevel.Warning, Message = "Old blackboards could not be deleted; trying again in an hour")]
    private partial void LogFailed(Exception e);
}
