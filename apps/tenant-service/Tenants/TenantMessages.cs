using System.Text.Json.Serialization;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Tenants.Tenants;

/// <summary>What a tenant may change of itself.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record UpdateOwnTenantRequest
{
    public string? Name { get; init; }
}

/// <summary>A new tenant with its first owner. Without a password one is made and shown once.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record CreateTenantRequest
{
    public string? Slug { get; init; }
    public string? Name { get; init; }
    public string? OwnerEmail { get; init; }
    public string? OwnerName { get; init; }
    public string? OwnerPassword { get; init; }
    public LimitsView? Limits { get; init; }
}

/// <summary>What the operator may change; members that are left out stay. Limits are replaced as a whole.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record UpdateTenantRequest
{
    public string? Name { get; init; }
    /// <summary><c>active</c> or <c>suspended</c>.</summary>
    public string? Status { get; init; }
    public LimitsView? Limits { get; init; }
}

/// <summary>Limits of a tenant; the deployment's defaults where null.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record LimitsView
{
    private const int Max = 10_000_000;

    public int? RequestsPerMinute { get; init; }
    public int? Burst { get; init; }
    public int? ConcurrentRuns { get; init; }

    public static LimitsView Of(TenantLimits? limits) =>
        new() { RequestsPerMinute = limits?.RequestsPerMinute, Burst = limits?.Burst, ConcurrentRuns = limits?.ConcurrentRuns };

    public string? Problem() => Out(RequestsPerMinute) || Out(Burst) || Out(ConcurrentRuns) ? $"must each be between 1 and {Max}" : null;

    public void ApplyTo(Tenant tenant) => (tenant.RequestsPerMinute, tenant.Burst, tenant.ConcurrentRuns) = (RequestsPerMinute, Burst, ConcurrentRuns);

    private static bool Out(int? value) => value is < 1 or > Max;
}

/// <summary>A tenant as shown.</summary>
internal sealed record TenantView(string Id, string Slug, string Name, string Status, LimitsView Limits, DateTimeOffset CreatedAt)
{
    public static TenantView Of(Tenant tenant) =>
        new(tenant.Id, tenant.Slug, tenant.Name, tenant.Status.ToString().ToLowerInvariant(), LimitsView.Of(tenant.Limits), tenant.CreatedAt);
}

/// <summary>A tenant that was just made, with the secrets that are shown this once only.</summary>
/// <param name="Tenant">The tenant.</param>
/// <param name="OwnerId">The owner's user id.</param>
/// <param name="OwnerEmail">The owner's address.</param>
/// <param name="OwnerPassword">The password that was made; null when the request gave one.</param>
/// <param name="ApiKeyId">The first API key's id.</param>
/// <param name="ApiKey">The first API key.</param>
internal sealed record NewTenantView(TenantView Tenant, string OwnerId, string OwnerEmail, string? OwnerPassword, string ApiKeyId, string ApiKey);
