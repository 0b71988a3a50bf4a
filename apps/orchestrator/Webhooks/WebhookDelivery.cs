namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>How a delivery stands.</summary>
internal enum DeliveryState
{
    Pending,
    Delivered,
    /// <summary>Given up; it can be asked for again.</summary>
    Failed,
}

/// <summary>One event on its way to one endpoint.</summary>
internal sealed record WebhookDelivery
{
    /// <summary>With the prefix <c>whd</c>; sent as <c>webhook-id</c>, the same with each attempt.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public required string EndpointId { get; init; }
    /// <summary>Deliveries of one run to one endpoint go out in order.</summary>
    public string? RunId { get; init; }
    public required string Type { get; init; }
    /// <summary>The body, UTF-8 JSON, the same with each attempt.</summary>
    public required byte[] Payload { get; init; }
    public DeliveryState State { get; init; }
    public int Attempts { get; init; }
    /// <summary>When it is due.</summary>
    public required DateTimeOffset NextAt { get; init; }
    /// <summary>Status of the last answer; null when there was none.</summary>
    public int? LastStatus { get; init; }
    public string? LastError { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? EndedAt { get; init; }
}

/// <summary>What came of an attempt.</summary>
/// <param name="State">How the delivery stands now.</param>
/// <param name="Status">The answer's status; null when there was none.</param>
/// <param name="Error">Why it failed; null when it did not.</param>
/// <param name="NextAt">The next attempt, while it is pending.</param>
/// <param name="At">Now.</param>
internal sealed record DeliveryResult(DeliveryState State, int? Status, string? Error, DateTimeOffset NextAt, DateTimeOffset At);

/// <summary>Names of states as stored and on the wire.</summary>
internal static class DeliveryStates
{
    private static readonly string[] Names = ["pending", "delivered", "failed"];

    public static string Of(DeliveryState state) => Names[(int)state];

    public static bool TryParse(string? name, out DeliveryState state)
    {
        int index = Array.IndexOf(Names, name);
        state = (DeliveryState)Math.Max(0, index);
        return index >= 0;
    }
}
