namespace MultiAgent.Contracts.Events;

/// <summary>A tenant was made.</summary>
public sealed record TenantCreated
{
    public required string TenantId { get; init; }
    public required string Slug { get; init; }
    public required string Name { get; init; }
    /// <summary>True when services that keep examples for new tenants are still to put them in; false when that was done with the tenant itself.</summary>
    public bool WantsExamples { get; init; }
    public required DateTimeOffset At { get; init; }
}
