using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging;

/// <summary>
/// Publishes events durably. Delivery to every consumer is at least once, and in the order of publishing for events with the
/// same <see cref="EventEnvelope.OrderingKey"/>.
/// </summary>
public interface IEventBus
{
    /// <summary>
    /// Returns once the events are on disk. An event whose id is known already is dropped silently, so publishing again after
    /// a failure is safe.
    /// </summary>
    /// <exception cref="Contracts.OverloadedException">The bus's queue is full; nothing was published.</exception>
    Task PublishAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken = default);
}

/// <summary>
/// Consumes events of one subject filter with a durable position. Registered as an enumerable; the bus runs it for as long as
/// the host runs.
/// </summary>
public interface IEventConsumer
{
    /// <summary>Durable name of the consumer, unique in the platform; its position is kept under it.</summary>
    string Name { get; }

    /// <summary>Subject filter, with <c>*</c> for one token and <c>&gt;</c> for the rest.</summary>
    string Filter { get; }

    /// <summary>
    /// True when events of one key must be handled one after the other over all replicas of the service, at the price of one delivery at a
    /// time for each share of the keys. Without it, replicas share the events out in batches, and each sees its own in order.
    /// </summary>
    bool Ordered => false;

    /// <summary>
    /// Handles events in order. They are acknowledged together when this returns; when it throws, they are delivered again
    /// one by one with back-off, and the one that keeps failing goes to the dead letters. Must be idempotent by event id.
    /// The events' data is pooled: copy what is needed after this has returned.
    /// </summary>
    Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken);
}
