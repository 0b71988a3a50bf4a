using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging;

/// <summary>An event that a consumer gave up on.</summary>
/// <param name="Seq">Its number among the dead letters; names it.</param>
/// <param name="Consumer">Who gave up.</param>
/// <param name="Event">The event as it was published.</param>
/// <param name="Error">What went wrong at the last attempt.</param>
/// <param name="Attempts">Deliveries before it was given up.</param>
/// <param name="At">When it was given up.</param>
public sealed record DeadLetter(long Seq, string Consumer, EventEnvelope Event, string Error, int Attempts, DateTimeOffset At);

/// <summary>What an operator does with the bus: watch it, and decide about dead letters. Works beside running services, whatever the bus.</summary>
public interface IEventOperations
{
    /// <summary>Events as they are published, from now on or from the oldest that is kept, until cancelled.</summary>
    /// <param name="filter">Subject filter, with <c>*</c> for one token and <c>&gt;</c> for the rest.</param>
    /// <param name="fromStart">Begin with the oldest event that is kept.</param>
    /// <param name="cancellationToken">Ends it.</param>
    IAsyncEnumerable<EventEnvelope> TailAsync(string filter, bool fromStart, CancellationToken cancellationToken);

    /// <summary>Dead letters in the order of their numbers.</summary>
    /// <param name="consumer">Of this consumer only; null for all.</param>
    /// <param name="after">Those with a greater number only.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">Gives up.</param>
    Task<IReadOnlyList<DeadLetter>> ListDeadAsync(string? consumer, long after, int limit, CancellationToken cancellationToken);

    /// <summary>
    /// Publishes the event again under a new id, and removes the dead letter. Every consumer of its subject gets it: they are idempotent by
    /// what it says. False: there is none of this number.
    /// </summary>
    Task<bool> ReplayAsync(long seq, CancellationToken cancellationToken);

    /// <summary>Removes a dead letter for good. False: there is none of this number.</summary>
    Task<bool> DropAsync(long seq, CancellationToken cancellationToken);
}
