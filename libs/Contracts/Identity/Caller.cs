namespace MultiAgent.Contracts.Identity;

/// <summary>
/// Who makes a request, after authentication. Immutable and shared between requests of the same key, so that the hot
/// path allocates nothing for it.
/// </summary>
public sealed class Caller
{
    /// <summary>The tenant that all data of the request belongs to.</summary>
    public required string TenantId { get; init; }

    /// <summary>The tenant's short name, e.g. <c>demo</c>.</summary>
    public required string TenantSlug { get; init; }

    /// <summary>The user, when a person has logged in; the key's creator when an API key is used and has one.</summary>
    public string? UserId { get; init; }

    /// <summary>The API key's id (never its secret); null for a logged-in user.</summary>
    public string? ApiKeyId { get; init; }

    public required Scopes Scopes { get; init; }

    /// <summary>The rate and concurrency limits that apply; null where the deployment's defaults do.</summary>
    public TenantLimits? Limits { get; init; }

    /// <summary>Limits of the API key on top of the tenant's; null where none were set.</summary>
    public KeyLimits? KeyLimits { get; init; }

    /// <summary>When the credential ends by itself; null where it has no end. Whoever keeps a caller for a while looks at it.</summary>
    public DateTimeOffset? ValidUntil { get; init; }

    public bool Has(Scopes scope) => (Scopes & scope) == scope;
}

/// <summary>Limits of one tenant. Null members fall back to the deployment's defaults.</summary>
public sealed record TenantLimits
{
    /// <summary>Requests per minute, sustained.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Size of the token bucket: how many requests may come at once.</summary>
    public int? Burst { get; init; }

    /// <summary>How many runs may be active at once.</summary>
    public int? ConcurrentRuns { get; init; }
}

/// <summary>Limits of one API key.</summary>
public sealed record KeyLimits
{
    /// <summary>Requests per minute, sustained.</summary>
    public int? RequestsPerMinute { get; init; }

    /// <summary>Size of the token bucket.</summary>
    public int? Burst { get; init; }
}
