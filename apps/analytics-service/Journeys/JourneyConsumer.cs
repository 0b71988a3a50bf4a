using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Stores the journeys that the platform records itself.</summary>
internal sealed class JourneyConsumer(IJourneyStore store) : IEventConsumer
{
    public string Name => "analytics-journeys";

    public string Filter => Subjects.JourneyRecorded;

    public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken) => store.ApplyAsync([.. events.Select(e => e.Data)]);
}
