using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Usage;

/// <summary>Stores metered usage.</summary>
internal sealed class UsageConsumer(IUsageStore store) : IEventConsumer
{
    public string Name => "analytics-usage";

    public string Filter => Subjects.UsageModelInference;

    public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken) => store.AddAsync([.. events.Select(e => e.Data)]);
}
