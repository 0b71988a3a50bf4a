namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Keeps endpoints and deliveries. The tenant is part of every look-up: another tenant's id names nothing.</summary>
internal interface IWebhookStore
{
    /// <summary>Adds an endpoint; one of a known id is left as it is.</summary>
    Task AddEndpointAsync(WebhookEndpoint endpoint);

    ValueTask<WebhookEndpoint?> FindEndpointAsync(string tenantId, string id);

    /// <summary>Endpoints that are not of one run, newest first.</summary>
    ValueTask<IReadOnlyList<WebhookEndpoint>> ListEndpointsAsync(string tenantId, string? beforeId, int limit);

    /// <summary>Replaces what can be changed; false when it is not there.</summary>
    Task<bool> UpdateEndpointAsync(WebhookEndpoint endpoint);

    /// <summary>Deletes an endpoint with its deliveries; false when it is not there.</summary>
    Task<bool> DeleteEndpointAsync(string tenantId, string id);

    /// <summary>Endpoints that may want to hear of these runs: the tenant's own, and those of the runs alone.</summary>
    ValueTask<IReadOnlyList<WebhookEndpoint>> EndpointsOfAsync(string tenantId, IReadOnlyList<string> runIds);

    /// <summary>Adds deliveries of a tenant; those that are known are left as they are.</summary>
    Task AddDeliveriesAsync(string tenantId, IReadOnlyList<WebhookDelivery> deliveries);

    ValueTask<WebhookDelivery?> FindDeliveryAsync(string tenantId, string id);

    /// <summary>Deliveries of an endpoint, newest first.</summary>
    ValueTask<IReadOnlyList<WebhookDelivery>> ListDeliveriesAsync(string tenantId, string endpointId, DeliveryState? state, string? beforeId, int limit);

    /// <summary>
    /// Gives the owner deliveries that are due, each to one owner for as long as the lease. Of one run and endpoint only the oldest that is pending, of one
    /// endpoint at most <paramref name="perEndpoint"/>, of endpoints that are disabled or busy none.
    /// </summary>
    Task<IReadOnlyList<WebhookDelivery>> ClaimAsync(string owner, DateTimeOffset now, TimeSpan lease, IReadOnlyList<string> busyEndpoints, int perEndpoint, int limit);

    /// <summary>Notes what came of an attempt, if the owner still holds the delivery.</summary>
    Task<bool> CompleteAsync(WebhookDelivery delivery, string owner, DeliveryResult result);

    /// <summary>Makes an ended delivery pending again, from its first attempt on; false when it is not there or pending.</summary>
    Task<bool> RedeliverAsync(string tenantId, string id, DateTimeOffset now);

    /// <summary>Disables an endpoint, and gives up what is on its way to it.</summary>
    Task DisableAsync(string tenantId, string endpointId, string reason, DateTimeOffset at);

    /// <summary>Deletes up to <paramref name="batch"/> ended deliveries that are older, and endpoints of one run that have none; returns how many.</summary>
    Task<int> PruneAsync(DateTimeOffset before, int batch);
}
