using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Webhooks of single runs. They are stored before the run is, so that its end finds them.</summary>
internal sealed class RunWebhooks(IWebhookStore store, WebhookSecrets secrets, TimeProvider time)
{
    /// <param name="tenantId">Whose run.</param>
    /// <param name="runId">The id that the run is going to have.</param>
    /// <param name="webhook">Checked, with its secret.</param>
    /// <param name="start">Starts the run.</param>
    public async Task<StartedRun> AroundAsync(string tenantId, string runId, RunWebhook webhook, Func<ValueTask<StartedRun>> start)
    {
        DateTimeOffset now = time.GetUtcNow();
        var endpoint = new WebhookEndpoint
        {
            Id = Contracts.Ids.Of("whe", now, runId), TenantId = tenantId, RunId = runId, Url = webhook.Url!, Events = [.. (webhook.Events ?? []).Distinct()],
            Secrets = secrets.Protect([new WebhookSecret(webhook.Secret!, null)]), CreatedAt = now, UpdatedAt = now,
        };
        await store.AddEndpointAsync(endpoint);
        StartedRun? started = null;
        try
        {
            return started = await start();
        }
        finally
        {
            // Refused, or a key that named another run, which has a webhook of its own.
            if (started?.Run.Id != runId) await store.DeleteEndpointAsync(tenantId, endpoint.Id);
        }
    }
}
