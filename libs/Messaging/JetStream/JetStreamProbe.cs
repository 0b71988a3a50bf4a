using MultiAgent.Hosting.Health;
using MultiAgent.Messaging.Spool;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// NATS in <c>/health</c>: whether it answers and how fast, how far consumers are behind, dead letters, and how full the spool is. Without NATS the
/// instance stays ready: what it accepts waits in outbox and spool.
/// </summary>
internal sealed class JetStreamProbe(JetStreamConnection connection, EventSpool spool, IEnumerable<IEventConsumer> consumers, TimeProvider time) : IHealthProbe
{
    private const ulong ManyPending = 10_000;

    // Less than the health endpoint has, so that the answer says more than that there was none.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private readonly string[] _durables = [.. consumers.SelectMany(JetStreamConsumerHost.DurablesOf).Select(d => d.Name)];

    public string Service => "events";

    public string Name => "event-bus:nats";

    public async ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
    {
        TimeSpan latency;
        long dead;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            NatsJSContext stream = await connection.ReadyAsync(limit.Token);
            if (connection.Nats.ConnectionState != NatsConnectionState.Open) return Away("not connected");
            long started = time.GetTimestamp();
            dead = (long)(await stream.GetStreamAsync(connection.DeadLetters, cancellationToken: limit.Token)).Info.State.Messages;
            latency = time.GetElapsedTime(started);
            foreach (string durable in _durables)
            {
                ConsumerInfo info = (await stream.GetConsumerAsync(connection.Events, durable, limit.Token)).Info;
                if (info.NumPending > ManyPending) return Degraded($"consumer '{durable}' is {info.NumPending} events behind", latency);
            }
        }
        catch (Exception e) when (e is NatsException or TimeoutException or OperationCanceledException)
        {
            return Away(e is OperationCanceledException ? "no answer in time" : e.Message);
        }
        if (spool.Used > 0.5) return Degraded($"the spool is {spool.Used:P0} full", latency);
        if (spool.Dropped > 0) return Degraded($"{spool.Dropped} records were dropped since the start", latency);
        return dead > 0 ? Degraded($"{dead} dead letters", latency) : ProbeResult.Ok() with { Latency = latency };
    }

    private ProbeResult Away(string why) => ProbeResult.Degraded($"NATS does not answer ({why}): events wait here, the spool is {spool.Used:P0} full");

    private static ProbeResult Degraded(string detail, TimeSpan latency) => ProbeResult.Degraded(detail) with { Latency = latency };
}
