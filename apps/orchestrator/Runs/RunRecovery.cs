using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Takes up unfinished runs when the process starts; drains the active ones when it stops, and releases what is left for another process.</summary>
internal sealed partial class RunRecovery(RunEngine engine, RunTakeUp takeUp, IRunLeases leases, RunOwner owner, IHostApplicationLifetime lifetime,
    IOptions<HostOptions> host, IOptions<LimitsOptions> limits, TimeProvider time, ILogger<RunRecovery> logger) : IHostedService
{
    private Task _draining = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        lifetime.ApplicationStopping.Register(() => _draining = DrainAsync());
        return takeUp.TakeUpAsync(cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken) => _draining.WaitAsync(cancellationToken);

    // The server waits for its open streams at the same time: runs are let go a little before its time is up, so that the streams can end.
    private async Task DrainAsync()
    {
        TimeSpan delay = TimeSpan.FromSeconds(limits.Value.DrainDelaySeconds), all = host.Value.ShutdownTimeout - delay;
        // Until load balancers have noticed, requests still come, and are served.
        await Task.Delay(delay, time);
        using var limit = new CancellationTokenSource(all - TimeSpan.FromTicks(Math.Min(all.Ticks / 4, TimeSpan.FromSeconds(5).Ticks)), time);
        await engine.StopAsync(limit.Token);
        try
        {
            await leases.ReleaseAsync(owner.Name);
        }
        catch (Exception e)
        {
            LogNotReleased(e);
        }
    }

    [LoggerMessage(EventId = 1, EventName = "RunsNotReleased", Level = LogLevel.Warning, Message = "Runs that did not end could not be released; another process takes them up when their leases run out")]
    private partial void LogNotReleased(Exception e);
}
