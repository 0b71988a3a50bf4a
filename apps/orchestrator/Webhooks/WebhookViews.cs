using System.Text.Json;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Body of POST and PUT.</summary>
internal sealed record WebhookEndpointRequest
{
    /// <summary>https, on the public internet.</summary>
    public string? Url { get; init; }
    public string? Description { get; init; }
    /// <summary>Types of events; all when absent.</summary>
    public IReadOnlyList<string>? Events { get; init; }
    /// <summary>POST only: <c>whsec_</c> and the base64 of 24 to 64 bytes; made when absent.</summary>
    public string? Secret { get; init; }
    /// <summary>PUT only: false stops deliveries, true lets them go on.</summary>
    public bool? Enabled { get; init; }
}

/// <summary>The webhook of one run, in the body of POST /api/v1/runs: an address, or an endpoint that is registered.</summary>
internal sealed record RunWebhook
{
    public string? Url { get; init; }
    /// <summary><c>whsec_</c> and the base64 of 24 to 64 bytes; goes with the address.</summary>
    public string? Secret { get; init; }
    /// <summary>Types of events; all when absent.</summary>
    public IReadOnlyList<string>? Events { get; init; }
}

/// <summary>An endpoint as the API shows it.</summary>
internal sealed record WebhookEndpointView
{
    public required string Id { get; init; }
    public required string Url { get; init; }
    public string? Description { get; init; }
    public required IReadOnlyList<string> Events { get; init; }
    public required bool Enabled { get; init; }
    /// <summary>Why it is disabled: <c>gone</c> (it answered 410) or <c>disabled</c>.</summary>
    public string? DisabledReason { get; init; }
    /// <summary>Shown when it is made, and not again.</summary>
    public string? Secret { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    public static WebhookEndpointView Of(WebhookEndpoint endpoint, string? secret = null) => new()
    {
        Id = endpoint.Id, Url = endpoint.Url, Description = endpoint.Description, Events = endpoint.Events.Count == 0 ? WebhookEvents.All : endpoint.Events, Enabled = endpoint.Disabled is null,
        DisabledReason = endpoint.Disabled, Secret = secret, CreatedAt = endpoint.CreatedAt, UpdatedAt = endpoint.UpdatedAt,
    };
}

/// <summary>Body of POST …/rotate.</summary>
/// <param name="OverlapHours">How long the secrets before are signed with too; 24 when absent, 0 to 168.</param>
/// <param name="Secret">As on creation.</param>
internal sealed record RotateWebhookRequest(double? OverlapHours, string? Secret);

/// <summary>A delivery as the API shows it.</summary>
internal sealed record WebhookDeliveryView(string Id, string Type, string? RunId, string Status, int Attempts, int? LastStatus, string? LastError, DateTimeOffset? NextAttemptAt, DateTimeOffset CreatedAt, DateTimeOffset? EndedAt, JsonElement Payload)
{
    public static WebhookDeliveryView Of(WebhookDelivery d) => new(d.Id, d.Type, d.RunId, DeliveryStates.Of(d.State), d.Attempts, d.LastStatus, d.LastError, d.State == DeliveryState.Pending ? d.NextAt : null, d.CreatedAt, d.EndedAt,
        JsonSerializer.Deserialize<JsonElement>(d.Payload));
}
