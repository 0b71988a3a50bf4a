using MultiAgent.Hosting.Health;
using MultiAgent.Hosting.Services;
using MultiAgent.Messaging.Embedded;
using MultiAgent.Messaging.Spool;

namespace MultiAgent.Messaging;

/// <summary>Health means progress: how old the oldest event is that a consumer has not handled, and how full the spool is.</summary>
internal sealed class MessagingProbe(EventLog log, EventSpool spool, IEnumerable<IEventConsumer> consumers, TimeProvider time, ServiceTopology? topology = null) : IHealthProbe
{
    private static readonly TimeSpan Late = TimeSpan.FromSeconds(30);

    private readonly string[] _names = [.. consumers.Select(c => c.Name)];

    public string Service => "events";

    public string Name => "event-bus:embedded";

    public ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
    {
        // Nothing is wrong with the log, and nobody reads it.
        if (topology is { IsApart: true }) return new(ProbeResult.Degraded("events stay in this process, and other services hear of nothing: set NATS_URL"));
        foreach (string name in _names)
        {
            (long count, DateTimeOffset? oldest) = log.Lag(log.Position(name));
            if (oldest is { } since && time.GetUtcNow() - since > Late)
                return new(ProbeResult.Degraded($"consumer '{name}' is {count} events behind, the oldest from {since:u}"));
        }
        if (spool.Used > 0.5) return new(ProbeResult.Degraded($"the spool is {spool.Used:P0} full"));
        if (spool.Dropped > 0) return new(ProbeResult.Degraded($"{spool.Dropped} records were dropped since the start"));
        long dead = log.DeadLetterCount();
        return new(dead > 0 ? ProbeResult.Degraded($"{dead} dead letters") : ProbeResult.Ok());
    }
}
