using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Tenants.Tenants;

/// <summary>A customer of the platform. Not tenant-scoped itself: its own id is the scope of everything else.</summary>
internal sealed class Tenant
{
    public required string Id { get; init; }
    public required string Slug { get; init; }
    public required string Name { get; set; }
    public TenantStatus Status { get; set; } = TenantStatus.Active;
    public int? RequestsPerMinute { get; set; }
    public int? Burst { get; set; }
    public int? ConcurrentRuns { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }

    public TenantLimits? Limits => RequestsPerMinute is null && Burst is null && ConcurrentRuns is null
        ? null
        : new TenantLimits { RequestsPerMinute = RequestsPerMinute, Burst = Burst, ConcurrentRuns = ConcurrentRuns };
}

internal enum TenantStatus
{
    Active,
    Suspended,
}

internal sealed class TenantConfiguration : IEntityTypeConfiguration<Tenant>
{
    public void Configure(EntityTypeBuilder<Tenant> builder)
    {
        builder.ToTable("tenants").HasKey(t => t.Id);
        builder.Ignore(t => t.Limits);
    }
}
