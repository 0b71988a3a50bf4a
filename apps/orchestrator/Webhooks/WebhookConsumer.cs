using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>
/// Makes deliveries of what runs tell. The event left with the run's end, and a delivery's id follows from event and endpoint, so that each is there once however
/// often the event comes.
/// </summary>
internal class WebhookConsumer(IWebhookStore store, IRunStore runs, WebhookBell bell) : IEventConsumer
{
    public virtual string Name => "orchestrator-webhooks";

    public virtual string Filter => "orchestrator.>";

    /// <summary>What is told of one run keeps its order.</summary>
    public bool Ordered => true;

    public async Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
    {
        foreach (IGrouping<string, EventEnvelope> group in events.Where(e => e.TenantId is not null && TypeOf(e.Subject) is not null && e.OrderingKey is not null).GroupBy(e => e.TenantId!))
        {
            string tenantId = group.Key;
            IReadOnlyList<WebhookEndpoint> endpoints = await store.EndpointsOfAsync(tenantId, [.. group.Select(e => e.OrderingKey!).Distinct()]);
            if (endpoints.Count == 0) continue;
            var deliveries = new List<WebhookDelivery>();
            foreach (EventEnvelope e in group) deliveries.AddRange(await DeliveriesAsync(e, endpoints));
            if (deliveries.Count == 0) continue;
            await store.AddDeliveriesAsync(tenantId, deliveries);
            bell.Ring();
        }
    }

    private async ValueTask<IReadOnlyList<WebhookDelivery>> DeliveriesAsync(EventEnvelope e, IReadOnlyList<WebhookEndpoint> endpoints)
    {
        string type = TypeOf(e.Subject)!, runId = e.OrderingKey!;
        WebhookEndpoint[] wanting = [.. endpoints.Where(w => w.Wants(type) && (w.RunId is null || w.RunId == runId))];
        if (wanting.Length == 0 || await runs.FindAsync(e.TenantId!, runId) is not { } run) return [];
        // Steps of another run are told with it.
        if (run.ParentRunId is not null) wanting = [.. wanting.Where(w => w.RunId is not null)];
        if (wanting.Length == 0) return [];
        byte[] payload = WebhookPayload.Of(type, e.Time, run, type == WebhookEvents.Waiting ? JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.ApprovalRequested) : null,
            type == WebhookEvents.CompensationFailed ? JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.CompensationFailed) : null,
            run.Kind == RunKind.Agent && type == WebhookEvents.Completed && await runs.LastEventAsync(run.TenantId, run.Id, RunEventTypes.MessageCompleted) is { } message ? FinalMessage.Parse(message) : null);
        return [.. wanting.Select(w => new WebhookDelivery
        {
            Id = Ids.Of("whd", e.Time, $"{e.Id}\n{w.Id}"), TenantId = run.TenantId, EndpointId = w.Id, RunId = runId, Type = type, Payload = payload, NextAt = e.Time, CreatedAt = e.Time,
        })];
    }

    private static string? TypeOf(string subject) => subject switch
    {
        Subjects.RunCompleted => WebhookEvents.Completed,
        Subjects.RunFailed => WebhookEvents.Failed,
        Subjects.RunCancelled => WebhookEvents.Cancelled,
        Subjects.ApprovalRequested => WebhookEvents.Waiting,
        Subjects.CompensationFailed => WebhookEvents.CompensationFailed,
        _ => null,
    };
}

/// <summary>Makes deliveries of what somebody has to look at.</summary>
internal sealed class AlertWebhookConsumer(IWebhookStore store, IRunStore runs, WebhookBell bell) : WebhookConsumer(store, runs, bell)
{
    public override string Name => "orchestrator-webhooks-alerts";

    public override string Filter => "alerts.>";
}
