using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Tenants.Tenants;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>An API key as it is stored: never its secret, only a hash to recognise it by.</summary>
internal sealed class ApiKey : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string Name { get; set; }
    /// <summary>The first characters of the key, for people to tell keys apart.</summary>
    public required string Prefix { get; init; }
    /// <summary>SHA-256 of the whole key, hexadecimal. A fast hash is right: the key is 256 random bits, there is nothing to guess.</summary>
    public required string SecretHash { get; init; }
    /// <summary>Wire names of the scopes, joined by spaces.</summary>
    public required string Scopes { get; set; }
    public string? CreatedBy { get; init; }
    public int? RequestsPerMinute { get; set; }
    public int? Burst { get; set; }
    public DateTimeOffset? ExpiresAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
    public DateTimeOffset? LastUsedAt { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>A key for <paramref name="secret"/>, of which only prefix and hash are kept.</summary>
    public static ApiKey Create(string name, Scopes scopes, string secret, string? createdBy, DateTimeOffset now) => new()
    {
        Id = Ids.New("key", now),
        Name = name,
        Prefix = ApiKeySecret.PrefixOf(secret),
        SecretHash = ApiKeySecret.HashOf(secret),
        Scopes = string.Join(' ', ScopeNames.ToNames(scopes)),
        CreatedBy = createdBy,
        CreatedAt = now,
    };

    public Scopes ScopeSet()
    {
        var set = Contracts.Identity.Scopes.None;
        foreach (string name in Scopes.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            if (ScopeNames.TryParse(name, out Scopes scope)) set |= scope;
        return set;
    }
}

internal sealed class ApiKeyConfiguration : IEntityTypeConfiguration<ApiKey>
{
    public void Configure(EntityTypeBuilder<ApiKey> builder)
    {
        builder.ToTable("api_keys").HasKey(k => k.Id);
        // Tells EF Core to insert a new tenant first.
        builder.HasOne<Tenant>().WithMany().HasForeignKey(k => k.TenantId);
    }
}
