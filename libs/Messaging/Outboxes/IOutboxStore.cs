using MultiAgent.Contracts.Events;

namespace MultiAgent.Messaging.Outboxes;

/// <summary>Where a service's outbox lies.</summary>
internal interface IOutboxStore
{
    string Service { get; }

    /// <summary>
    /// Hands the oldest events, <paramref name="max"/> at most and in order, to <paramref name="publish"/>, and deletes them once it has returned. Of all
    /// replicas one does so at a time. Returns how many there were.
    /// </summary>
    Task<int> RelayAsync(int max, Func<IReadOnlyList<EventEnvelope>, Task> publish);
}
