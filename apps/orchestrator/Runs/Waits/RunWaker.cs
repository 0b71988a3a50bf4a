using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>Takes up waiting runs when their time has come: at once when that is known in this process, otherwise within a second.</summary>
internal sealed partial class RunWaker(RunTakeUp takeUp, RunEngine engine, RunBell bell, TimeProvider time, ILogger<RunWaker> logger) : BackgroundService
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Beat, time);
        Task tick = timer.WaitForNextTickAsync(stoppingToken).AsTask(), rung = bell.WaitAsync(stoppingToken);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (!engine.IsStopping && await takeUp.WakeAsync(stoppingToken) > 0)
                {
                    // More may be due than one look takes.
                }
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
            await Task.WhenAny(tick, rung);
            if (tick.IsCompleted) tick = timer.WaitForNextTickAsync(stoppingToken).AsTask();
            if (rung.IsCompleted) rung = bell.WaitAsync(stoppingToken);
        }
    }

    [LoggerMessage(EventId = 1, EventName = "RunsNotWoken", Level = LogLevel.Warning, Message = "Waiting runs could not be looked for; trying again")]
    private partial void LogFailed(Exception e);
}
