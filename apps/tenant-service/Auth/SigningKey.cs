using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace MultiAgent.Tenants.Auth;

/// <summary>A key that signs access tokens, of the whole platform and not of a tenant. The secret is encrypted.</summary>
internal sealed class SigningKey
{
    public required string Id { get; init; }
    public required string ProtectedSecret { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>From then on no token that it signed can be valid.</summary>
    public required DateTimeOffset ExpiresAt { get; init; }
}

internal sealed class SigningKeyConfiguration : IEntityTypeConfiguration<SigningKey>
{
    public void Configure(EntityTypeBuilder<SigningKey> builder) => builder.ToTable("signing_keys").HasKey(k => k.Id);
}
