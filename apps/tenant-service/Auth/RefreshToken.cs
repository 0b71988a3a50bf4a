using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Tenants.Auth;

/// <summary>One refresh token of a session (family); each is good for one use.</summary>
internal sealed class RefreshToken : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string UserId { get; init; }
    public required string FamilyId { get; init; }
    public required string TokenHash { get; init; }
    public DateTimeOffset? UsedAt { get; set; }
    public DateTimeOffset? RevokedAt { get; set; }
    public required DateTimeOffset ExpiresAt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}

internal sealed class RefreshTokenConfiguration : IEntityTypeConfiguration<RefreshToken>
{
    public void Configure(EntityTypeBuilder<RefreshToken> builder) => builder.ToTable("refresh_tokens").HasKey(t => t.Id);
}
