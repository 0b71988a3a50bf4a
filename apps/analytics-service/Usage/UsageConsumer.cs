using System.Text.Json;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Usage;

/// <summary>Stores metered usage.</summary>
internal sealed class UsageConsumer(UsageStore store) : IEventConsumer
{
    public string Name => "analytics-usage";

    public string Filter => Subjects.UsageModelInference;

    public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
    {
        var records = new List<UsageRecord>();
        foreach (EventEnvelope e in events)
            records.AddRange(JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.UsageBatch)?.Records ?? throw new JsonException("The event holds no usage."));
        return store.AddAsync(records);
    }
}
