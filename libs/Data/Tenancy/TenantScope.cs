namespace MultiAgent.Data.Tenancy;

/// <summary>An entity that belongs to one tenant. Filtered on every query and stamped on every insert.</summary>
public interface ITenantScoped
{
    /// <summary>The owning tenant's id; set by the context on insert, never changed.</summary>
    string TenantId { get; set; }
}

/// <summary>Whose rows a database context sees: one tenant's, or all of them on the system path.</summary>
public readonly struct TenantScope
{
    private TenantScope(string? tenantId, string? reason) => (TenantId, Reason) = (tenantId, reason);

    public string? TenantId { get; }

    /// <summary>Why rows of all tenants are needed; for the log.</summary>
    public string? Reason { get; }

    public bool IsSystem => TenantId is null && Reason is not null;

    /// <exception cref="ArgumentException">The id is empty: silence would show everybody's rows.</exception>
    public static TenantScope Of(string tenantId)
    {
        ArgumentException.ThrowIfNullOrEmpty(tenantId);
        return new TenantScope(tenantId, null);
    }

    /// <summary>The cross-tenant path: credentials look-up, retention, start-up. Never for a tenant's own request.</summary>
    public static TenantScope System(string reason)
    {
        ArgumentException.ThrowIfNullOrEmpty(reason);
        return new TenantScope(null, reason);
    }
}
