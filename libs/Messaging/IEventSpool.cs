namespace MultiAgent.Messaging;

/// <summary>
/// Takes small records on the hot path and publishes them in batches. A record is safe from the death of the process as soon
/// as <see cref="Append"/> returns, at the cost of a copy in memory: it lies in a mapped file that the system writes out.
/// </summary>
public interface IEventSpool
{
    /// <summary>
    /// Appends one record: a JSON object in UTF-8, which becomes an element of the batch event's <c>records</c> or
    /// <c>changes</c> array. Thread safe.
    /// </summary>
    /// <param name="kind">Which batch event the record belongs to.</param>
    /// <param name="record">UTF-8 JSON object, at most 16 kB.</param>
    /// <returns>False when the spool is full: the consumer has been standing still for long.</returns>
    bool Append(SpoolKind kind, ReadOnlySpan<byte> record);

    /// <summary>True when little room is left; new work should be refused, so that work in progress still finds some.</summary>
    bool IsNearlyFull { get; }
}

/// <summary>The batch events that a spool makes.</summary>
public enum SpoolKind : byte
{
    /// <summary>A <see cref="Contracts.Events.UsageRecord"/> of a <see cref="Contracts.Events.UsageBatch"/>.</summary>
    Usage = 1,

    /// <summary>A <see cref="Contracts.Events.JourneyChange"/> of a <see cref="Contracts.Events.JourneyBatch"/>.</summary>
    Journey = 2,

    /// <summary>A <see cref="Contracts.Events.RequestRecord"/> of a <see cref="Contracts.Events.RequestBatch"/>. The first to find no room: the others are worth more.</summary>
    Request = 3,
}
