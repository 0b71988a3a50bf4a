using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Tenants.Tenants;

namespace MultiAgent.Tenants.Users;

/// <summary>A person with a password and a role in one tenant.</summary>
internal sealed class User : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string Email { get; init; }
    public required string NormalizedEmail { get; init; }
    public required string Name { get; set; }
    public string PasswordHash { get; set; } = "";
    public required Role Role { get; set; }
    public UserStatus Status { get; set; } = UserStatus.Active;
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Addresses are compared without case.</summary>
    public static string Normalize(string email) => email.Trim().ToUpperInvariant();
}

internal enum UserStatus
{
    Active,
    Disabled,
}

internal sealed class UserConfiguration : IEntityTypeConfiguration<User>
{
    public void Configure(EntityTypeBuilder<User> builder)
    {
        builder.ToTable("users").HasKey(u => u.Id);
        // Tells EF Core to insert a new tenant first.
        builder.HasOne<Tenant>().WithMany().HasForeignKey(u => u.TenantId);
    }
}
