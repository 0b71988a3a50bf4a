using System.Text.Json;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics.Journeys;

/// <summary>
/// Ends the journeys of runs. The orchestrator records the end itself too, but after the run's end is stored; a process that
/// dies in between would leave the journey open, and this event leaves together with the run's end.
/// </summary>
internal sealed class RunEndConsumer(IJourneyStore store) : IEventConsumer
{
    public string Name => "analytics-run-ends";

    public string Filter => "orchestrator.run.*";

    public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
    {
        var changes = new List<JourneyChange>();
        foreach (EventEnvelope e in events)
        {
            RunEnded run = JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.RunEnded) ?? throw new JsonException("The event holds no run.");
            if (run.JourneyId is null) continue;
            // The start comes on another way and may be later: whichever is first makes the journey, and the other changes nothing.
            var end = new JourneyChange
            {
                Id = e.Id,
                JourneyId = run.JourneyId,
                TenantId = run.TenantId,
                Kind = run.Status switch { "completed" => "completed", "failed" => "failed", _ => "abandoned" },
                Type = "chat",
                UserId = run.UserId,
                At = run.At,
            };
            changes.Add(end with { Kind = "started", At = run.At.AddMilliseconds(-run.DurationMs), Metadata = new Dictionary<string, string> { ["agent"] = run.Agent, ["run_id"] = run.RunId } });
            changes.Add(end);
        }
        return changes.Count == 0 ? Task.CompletedTask : store.ApplyAsync(changes);
    }
}
