namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Where a tenant wants to hear of its runs.</summary>
internal sealed record WebhookEndpoint
{
    public const string Gone = "gone";
    public const string ByUser = "disabled";

    /// <summary>With the prefix <c>whe</c>.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    /// <summary>Set when it is for one run alone; such an endpoint is not listed.</summary>
    public string? RunId { get; init; }
    public required string Url { get; init; }
    public string? Description { get; init; }
    /// <summary>Types of events that it gets; empty for all.</summary>
    public required IReadOnlyList<string> Events { get; init; }
    /// <summary>Its secrets, encrypted (<see cref="WebhookSecrets"/>).</summary>
    public required byte[] Secrets { get; init; }
    /// <summary>Why it gets nothing: <see cref="Gone"/> (it answered 410) or <see cref="ByUser"/>; null while it does.</summary>
    public string? Disabled { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    public bool Wants(string type) => Disabled is null && (Events.Count == 0 || Events.Contains(type));
}

/// <summary>Types of events that go out.</summary>
internal static class WebhookEvents
{
    public const string Completed = "run.completed";
    public const string Failed = "run.failed";
    public const string Cancelled = "run.cancelled";
    public const string Waiting = "run.waiting";
    public const string CompensationFailed = "run.compensation_failed";
    /// <summary>Asked for through the API, to try an endpoint out.</summary>
    public const string Test = "webhook.test";

    public static readonly IReadOnlyList<string> All = [Completed, Failed, Cancelled, Waiting, CompensationFailed];
}
