using System.Globalization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// Runs every consumer on a durable JetStream consumer of its name, which replicas share. What is delivered is acknowledged one by one; a
/// consumer that works for long says so, and what it cannot handle comes again later, and ends as a dead letter.
/// </summary>
internal sealed partial class JetStreamConsumerHost(
    JetStreamConnection connection, IEnumerable<IEventConsumer> consumers, IOptions<MessagingOptions> messaging, IOptions<JetStreamOptions> options, TimeProvider time,
    ILogger<JetStreamConsumerHost> logger) : BackgroundService
{
    private const int MaxBatch = 256;
    private const int MaxBatchBytes = 4 * 1024 * 1024;
    private static readonly TimeSpan MaxBackOff = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PullTime = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan Heartbeat = TimeSpan.FromSeconds(1.5);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly IEventConsumer[] _consumers = [.. consumers];
    private readonly TimeSpan _ackWait = TimeSpan.FromSeconds(options.Value.AckWaitSeconds);

    /// <summary>Names of the durable consumers of one of ours: one, or one for each partition where order is asked for.</summary>
    public static IEnumerable<(string Name, int? Partition)> DurablesOf(IEventConsumer consumer) => consumer.Ordered
        ? Enumerable.Range(0, Partition.Count).Select(p => ($"{consumer.Name}-{p.ToString(CultureInfo.InvariantCulture)}", (int?)p))
        : [(consumer.Name, null)];

    protected override Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string[] doubles = [.. _consumers.GroupBy(c => c.Name).Where(g => g.Count() > 1).Select(g => g.Key)];
        if (doubles.Length > 0) throw new InvalidOperationException($"Two consumers share the name '{doubles[0]}'.");
        return Task.WhenAll(_consumers.SelectMany(c => DurablesOf(c).Select(d => RunAsync(c, d.Name, d.Partition, stoppingToken))));
    }

    private async Task RunAsync(IEventConsumer consumer, string durable, int? partition, CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            CancellationToken session = default;
            try
            {
                NatsJSContext stream = await connection.ReadyAsync(stopping);
                // On each new connection everything is asked for anew.
                session = await connection.Watch.SessionAsync(stopping);
                INatsJSConsumer source = await stream.CreateOrUpdateConsumerAsync(connection.Events, new ConsumerConfig(durable)
                {
                    DurableName = durable,
                    FilterSubject = connection.FilterOf(consumer.Filter, partition),
                    DeliverPolicy = ConsumerConfigDeliverPolicy.All,
                    AckPolicy = ConsumerConfigAckPolicy.Explicit,
                    AckWait = _ackWait,
                    // Counted here: JetStream would drop the event without a dead letter.
                    MaxDeliver = -1,
                    // One at a time keeps the order, also over replicas.
                    MaxAckPending = partition is null ? 4 * MaxBatch : 1,
                }, stopping);
                using var ended = CancellationTokenSource.CreateLinkedTokenSource(stopping, session);
                await ConsumeAsync(consumer, source, ended.Token);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                return;
            }
            catch (OperationCanceledException) when (session.IsCancellationRequested)
            {
                // The connection is gone; the next one is waited for above.
            }
            catch (Exception e)
            {
                // The server is away, or somebody deleted what it kept for us.
                if (e is NatsJSApiException or NatsJSProtocolException) connection.Forget();
                LogLoopFailed(e, durable);
                await Task.Delay(Pause, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ConsumeAsync(IEventConsumer consumer, INatsJSConsumer source, CancellationToken stopping)
    {
        // What has come by the time of stopping is still handled, so that no other replica has to wait for it.
        // The heartbeat is how soon a pull that died with its server is missed and made again.
        var opts = new NatsJSConsumeOpts { MaxMsgs = MaxBatch, DrainOnCancel = true, Expires = PullTime, IdleHeartbeat = Heartbeat };
        await using IAsyncEnumerator<INatsJSMsg<NatsMemoryOwner<byte>>> messages =
            source.ConsumeAsync(NatsRawSerializer<NatsMemoryOwner<byte>>.Default, opts, stopping).GetAsyncEnumerator(CancellationToken.None);
        ValueTask<bool> next = messages.MoveNextAsync();
        while (await next)
        {
            // All that is there already makes one batch.
            using var batch = new DeliveryBatch();
            bool more = true;
            batch.Add(messages.Current);
            next = messages.MoveNextAsync();
            while (batch.Count < MaxBatch && batch.Bytes < MaxBatchBytes && next.IsCompleted)
            {
                if (!(more = await next)) break;
                batch.Add(messages.Current);
                next = messages.MoveNextAsync();
            }
            await HandleAsync(consumer, batch);
            if (!more) return;
        }
    }

    private async Task HandleAsync(IEventConsumer consumer, DeliveryBatch batch)
    {
        try
        {
            await using var working = new Working(batch.Deliveries, _ackWait / 3, time);
            // Neither ours nor anything that a consumer could read.
            foreach (Delivery foreign in batch.Deliveries.Where(d => d.Event is null))
            {
                LogForeign(foreign.Message.Subject);
                await foreign.SettleAsync(m => m.AckTerminateAsync());
            }
            Delivery[] ours = [.. batch.Deliveries.Where(d => d.Event is not null)];
            if (ours.Length > 1 && !ours.Any(EndsTheProcess))
            {
                if (await TryAsync(consumer, ours) is not { } e) return;
                LogBatchFailed(e, consumer.Name, ours.Length);
            }
            foreach (Delivery one in ours)
            {
                Exception? e = EndsTheProcess(one) ? new InvalidOperationException("The consumer ended without a word each time that it got this event.") : await TryAsync(consumer, [one]);
                if (e is not null) await FailedAsync(consumer, one, e);
            }
        }
        catch (NatsException e)
        {
            // What could not be settled comes again.
            LogUnsettled(e, consumer.Name);
        }
    }

    // Delivered far more often than a failure that is seen can explain: whoever had it went down with it.
    private bool EndsTheProcess(Delivery delivery) => delivery.Attempts > 2 * messaging.Value.MaxDeliveries;

    /// <summary>Handles and acknowledges; null when it worked.</summary>
    private static async Task<Exception?> TryAsync(IEventConsumer consumer, Delivery[] deliveries)
    {
        try
        {
            await consumer.HandleAsync([.. deliveries.Select(d => d.Event!)], CancellationToken.None);
        }
        catch (Exception e)
        {
            return e;
        }
        foreach (Delivery done in deliveries) await done.SettleAsync(m => m.AckAsync());
        return null;
    }

    private async Task FailedAsync(IEventConsumer consumer, Delivery one, Exception e)
    {
        if (one.Attempts < messaging.Value.MaxDeliveries)
        {
            TimeSpan wait = TimeSpan.FromMilliseconds(Math.Min(MaxBackOff.TotalMilliseconds, messaging.Value.RetryMilliseconds * Math.Pow(2, one.Attempts - 1)));
            LogFailed(e, consumer.Name, one.Event!.Id, one.Attempts);
            await one.SettleAsync(m => m.NakAsync(new AckOpts { NakDelay = wait }));
            return;
        }
        LogDeadLetter(e, consumer.Name, one.Event!.Id, one.Event.Subject, one.Attempts);
        // First there, then gone from here; a crash in between repeats the first step, which the id makes harmless.
        PubAckResponse ack = await connection.Context.PublishAsync(connection.DeadLetterSubject(consumer.Name), one.Event.Data, NatsRawSerializer<ReadOnlyMemory<byte>>.Default,
            new NatsJSPubOpts { MsgId = $"{consumer.Name}:{one.Event.Id}" }, EventHeaders.WriteDead(one.Event, consumer.Name, $"{e.GetType().Name}: {e.Message}", one.Attempts));
        if (ack.Error is { } error) throw new NatsJSApiException(error);
        await one.SettleAsync(m => m.AckTerminateAsync());
    }

    [LoggerMessage(EventId = 1, EventName = "ConsumerLoopFailed", Level = LogLevel.Error, Message = "Consumer {Consumer} cannot get its events; trying again")]
    private partial void LogLoopFailed(Exception e, string consumer);

    [LoggerMessage(EventId = 2, EventName = "EventBatchFailed", Level = LogLevel.Warning, Message = "Consumer {Consumer} failed on a batch of {Count}; delivering one by one")]
    private partial void LogBatchFailed(Exception e, string consumer, int count);

    [LoggerMessage(EventId = 3, EventName = "EventDeadLettered", Level = LogLevel.Error, Message = "Consumer {Consumer} gave up on event {Id} ({Subject}) after {Attempts} attempts; it is in the dead letters")]
    private partial void LogDeadLetter(Exception e, string consumer, string id, string subject, int attempts);

    [LoggerMessage(EventId = 4, EventName = "EventFailed", Level = LogLevel.Warning, Message = "Consumer {Consumer} failed on event {Id}, attempt {Attempt}; it comes again")]
    private partial void LogFailed(Exception e, string consumer, string id, int attempt);

    [LoggerMessage(EventId = 6, EventName = "EventsUnsettled", Level = LogLevel.Warning, Message = "Consumer {Consumer} could not acknowledge; its events come again")]
    private partial void LogUnsettled(Exception e, string consumer);

    [LoggerMessage(EventId = 5, EventName = "ForeignMessage", Level = LogLevel.Error, Message = "A message on {Subject} is no event of this platform; it is passed over")]
    private partial void LogForeign(string subject);
}
