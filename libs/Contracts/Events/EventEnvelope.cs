namespace MultiAgent.Contracts.Events;

/// <summary>
/// One event as it travels: the context attributes of CloudEvents 1.0 and a JSON payload. Delivery is at least once;
/// consumers are idempotent by <see cref="Id"/>.
/// </summary>
public sealed record EventEnvelope
{
    /// <summary>Unique over all events; the bus drops a second one with the same id inside its de-duplication window.</summary>
    public required string Id { get; init; }

    /// <summary>What happened, also the subject it is published on (<see cref="Subjects"/>); CloudEvents <c>type</c>.</summary>
    public required string Subject { get; init; }

    /// <summary>The service that tells it; CloudEvents <c>source</c>.</summary>
    public required string Source { get; init; }

    /// <summary>The tenant it belongs to; null for events that carry several tenants' records or none.</summary>
    public string? TenantId { get; init; }

    /// <summary>Events with the same key are delivered in the order of publishing, e.g. the run's id.</summary>
    public string? OrderingKey { get; init; }

    public required DateTimeOffset Time { get; init; }

    /// <summary>W3C <c>traceparent</c> of the operation that published it.</summary>
    public string? TraceParent { get; init; }

    /// <summary>The payload: UTF-8 JSON.</summary>
    public required ReadOnlyMemory<byte> Data { get; init; }
}
