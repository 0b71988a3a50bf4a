using System.Text.Json;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Stores the journeys that the platform records itself.</summary>
internal sealed class JourneyConsumer(JourneyStore store) : IEventConsumer
{
    public string Name => "analytics-journeys";

    public string Filter => Subjects.JourneyRecorded;

    public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
    {
        var changes = new List<JourneyChange>();
        foreach (EventEnvelope e in events)
            changes.AddRange(JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.JourneyBatch)?.Changes ?? throw new JsonException("The event holds no journey."));
        return store.ApplyAsync(changes);
    }
}
