using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Messaging.Outboxes;

/// <summary>Publishes what is in the outbox of one service's database, in order, and then deletes it.</summary>
internal sealed partial class OutboxRelay(IOutboxStore outbox, IEventBus bus, TimeProvider time, ILogger<OutboxRelay> logger) : BackgroundService
{
    private const int Batch = 500;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            TimeSpan pause = Pause;
            try
            {
                if (await RelayAsync() == Batch) continue;
            }
            catch (Exception e)
            {
                LogFailed(e, outbox.Service);
                pause = AfterFailure;
            }
            await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            // What the last requests wrote goes out now rather than at the next start.
            while (await RelayAsync() == Batch) cancellationToken.ThrowIfCancellationRequested();
        }
        catch (Exception e)
        {
            LogFailed(e, outbox.Service);
        }
    }

    private Task<int> RelayAsync() => outbox.RelayAsync(Batch, events => bus.PublishAsync(events));

    [LoggerMessage(EventId = 1, EventName = "OutboxRelayFailed", Level = LogLevel.Error, Message = "Events of {Service} could not be published; they stay in the outbox")]
    private partial void LogFailed(Exception e, string service);
}
