using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Requests;

/// <summary>Stores the log of requests.</summary>
internal sealed class RequestConsumer(IRequestStore store) : IEventConsumer
{
    public string Name => "analytics-requests";

    public string Filter => Subjects.RequestCompleted;

    public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken) => store.AddAsync([.. events.Select(e => e.Data)]);
}
