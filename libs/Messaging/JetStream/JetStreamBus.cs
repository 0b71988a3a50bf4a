using MultiAgent.Contracts.Events;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// The event bus on NATS JetStream. Events of one call are under way together, up to a bound; those with the same key never are, so that
/// a failure between them cannot turn their order around.
/// </summary>
internal sealed class JetStreamBus(JetStreamConnection connection) : IEventBus
{
    private const int MaxInFlight = 256;

    public async Task PublishAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken = default)
    {
        if (events.Count == 0) return;
        NatsJSContext stream = await connection.ReadyAsync(cancellationToken);
        var underWay = new List<NatsJSPublishConcurrentFuture>(Math.Min(events.Count, MaxInFlight));
        HashSet<string>? keys = null;
        try
        {
            foreach (EventEnvelope e in events)
            {
                if (underWay.Count == MaxInFlight || (e.OrderingKey is { } key && !(keys ??= new(StringComparer.Ordinal)).Add(key)))
                {
                    await SettleAsync(underWay, cancellationToken);
                    keys?.Clear();
                    if (e.OrderingKey is { } again) keys!.Add(again);
                }
                underWay.Add(await stream.PublishConcurrentAsync(connection.SubjectOf(e), e.Data, NatsRawSerializer<ReadOnlyMemory<byte>>.Default,
                    new NatsJSPubOpts { MsgId = e.Id }, EventHeaders.Write(e), cancellationToken));
            }
            await SettleAsync(underWay, cancellationToken);
        }
        catch (NatsJSPublishNoResponseException)
        {
            // Nobody answers for the subject: the stream is gone.
            connection.Forget();
            throw;
        }
        finally
        {
            foreach (NatsJSPublishConcurrentFuture left in underWay) await left.DisposeAsync();
        }
    }

    // Stored, or known already: either way the event is there.
    private static async Task SettleAsync(List<NatsJSPublishConcurrentFuture> underWay, CancellationToken cancellationToken)
    {
        foreach (NatsJSPublishConcurrentFuture one in underWay)
        {
            PubAckResponse ack = await one.GetResponseAsync(cancellationToken);
            if (ack.Error is { } error) throw new NatsJSApiException(error);
        }
        foreach (NatsJSPublishConcurrentFuture one in underWay) await one.DisposeAsync();
        underWay.Clear();
    }
}
