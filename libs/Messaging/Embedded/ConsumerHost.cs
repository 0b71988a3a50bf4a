using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging.Embedded;

/// <summary>Runs every consumer: in order, at least once, with back-off, and dead letters at the end of patience.</summary>
internal sealed partial class ConsumerHost(
    EmbeddedBus bus, EventLog log, IEnumerable<IEventConsumer> consumers, IOptions<MessagingOptions> options, TimeProvider time, ILogger<ConsumerHost> logger) : BackgroundService
{
    private const int MaxBatch = 256;
    private const int TrimBatch = 500;
    private static readonly TimeSpan MaxUnsaved = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Look = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan MaxBackOff = TimeSpan.FromSeconds(30);

    private readonly IEventConsumer[] _consumers = [.. consumers];

    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string[] doubles = [.. _consumers.GroupBy(c => c.Name).Where(g => g.Count() > 1).Select(g => g.Key)];
        if (doubles.Length > 0) throw new InvalidOperationException($"Two consumers share the name '{doubles[0]}'.");
        return Task.WhenAll([.. _consumers.Select(c => RunAsync(c, stoppingToken)), TrimAsync(stoppingToken)]);
    }

    private async Task RunAsync(IEventConsumer consumer, CancellationToken stopping)
    {
        long position = log.Position(consumer.Name), saved = position, savedAt = time.GetTimestamp();
        while (!stopping.IsCancellationRequested)
        {
            try
            {
                Task next = bus.NextPublication;
                using EventLog.Batch batch = log.Read(position, consumer.Filter, MaxBatch);
                bool pause = batch.Position == position;
                if (pause && (saved == position || !await PausesAsync(next, stopping)))
                {
                    // Another process may have published (an operator who replays a dead letter).
                    await next.WaitAsync(Look, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    continue;
                }
                if (batch.Events.Count > 0) await DeliverAsync(consumer, batch.Events, stopping);
                position = batch.Position;
                // Events of others cost no write each: passing over them again after a crash does no harm.
                if (batch.Events.Count == 0 && !pause && time.GetElapsedTime(savedAt) < MaxUnsaved) continue;
                await log.AdvanceAsync(consumer.Name, position);
                (saved, savedAt) = (position, time.GetTimestamp());
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                // The log itself failed (disk full, locked): the events stay, so try again.
                LogLoopFailed(e, consumer.Name);
                await Task.Delay(TimeSpan.FromSeconds(1), time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>True when nothing is published for a while.</summary>
    private async Task<bool> PausesAsync(Task next, CancellationToken stopping) =>
        await Task.WhenAny(next, Task.Delay(Pause, time, stopping)) != next && !stopping.IsCancellationRequested;

    private async Task DeliverAsync(IEventConsumer consumer, IReadOnlyList<EventEnvelope> events, CancellationToken stopping)
    {
        try
        {
            await consumer.HandleAsync(events, stopping);
            return;
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            LogBatchFailed(e, consumer.Name, events.Count);
        }
        foreach (EventEnvelope single in events) await DeliverOneAsync(consumer, single, stopping);
    }

    private async Task DeliverOneAsync(IEventConsumer consumer, EventEnvelope single, CancellationToken stopping)
    {
        TimeSpan wait = TimeSpan.FromMilliseconds(options.Value.RetryMilliseconds);
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await consumer.HandleAsync([single], stopping);
                return;
            }
            catch (Exception e) when (!stopping.IsCancellationRequested)
            {
                if (attempt >= options.Value.MaxDeliveries)
                {
                    LogDeadLetter(e, consumer.Name, single.Id, single.Subject, attempt);
                    await log.DeadLetterAsync(consumer.Name, single, $"{e.GetType().Name}: {e.Message}", attempt);
                    return;
                }
            }
            await Task.Delay(wait, time, stopping);
            wait = wait * 2 < MaxBackOff ? wait * 2 : MaxBackOff;
        }
    }

    private async Task TrimAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        string[] names = [.. _consumers.Select(c => c.Name)];
        while (await timer.WaitForNextTickAsync(stopping))
        {
            try
            {
                while (await log.TrimAsync(names, TimeSpan.FromMinutes(options.Value.RetentionMinutes), TrimBatch) == TrimBatch)
                    stopping.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogTrimFailed(e);
            }
        }
    }

    [LoggerMessage(EventId = 1, EventName = "ConsumerLoopFailed", Level = LogLevel.Error, Message = "Consumer {Consumer} cannot read its events; trying again")]
    private partial void LogLoopFailed(Exception e, string consumer);

    [LoggerMessage(EventId = 2, EventName = "EventBatchFailed", Level = LogLevel.Warning, Message = "Consumer {Consumer} failed on a batch of {Count}; delivering one by one")]
    private partial void LogBatchFailed(Exception e, string consumer, int count);

    [LoggerMessage(EventId = 3, EventName = "EventDeadLettered", Level = LogLevel.Error, Message = "Consumer {Consumer} gave up on event {Id} ({Subject}) after {Attempts} attempts; it is in the dead letters")]
    private partial void LogDeadLetter(Exception e, string consumer, string id, string subject, int attempts);

    [LoggerMessage(EventId = 4, EventName = "EventTrimFailed", Level = LogLevel.Warning, Message = "Old events could not be deleted; trying again in a minute")]
    private partial void LogTrimFailed(Exception e);
}
