using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>An agent: what its versions have in common.</summary>
internal sealed class AgentEntity : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string Slug { get; init; }
    public required int LatestVersion { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; set; }
    public DateTimeOffset? DeletedAt { get; set; }
}

/// <summary>One immutable version; the definition is the JSON of an <see cref="AgentSpec"/>.</summary>
internal sealed class AgentVersionEntity : ITenantScoped
{
    public required string AgentId { get; init; }
    public required int Number { get; init; }
    public string TenantId { get; set; } = "";
    public required string Definition { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public string? CreatedBy { get; init; }
}

/// <summary>A name that points to a version.</summary>
internal sealed class AgentLabelEntity : ITenantScoped
{
    public required string AgentId { get; init; }
    public required string Label { get; init; }
    public string TenantId { get; set; } = "";
    public required int Version { get; set; }
    public required DateTimeOffset UpdatedAt { get; set; }
}

internal sealed class AgentConfiguration : IEntityTypeConfiguration<AgentEntity>
{
    public void Configure(EntityTypeBuilder<AgentEntity> builder)
    {
        builder.ToTable("agents").HasKey(a => a.Id);
        builder.Property(a => a.LatestVersion).IsConcurrencyToken();
    }
}

internal sealed class AgentVersionConfiguration : IEntityTypeConfiguration<AgentVersionEntity>
{
    public void Configure(EntityTypeBuilder<AgentVersionEntity> builder)
    {
        builder.ToTable("agent_versions").HasKey(v => new { v.AgentId, v.Number });
        builder.HasOne<AgentEntity>().WithMany().HasForeignKey(v => v.AgentId);
    }
}

internal sealed class AgentLabelConfiguration : IEntityTypeConfiguration<AgentLabelEntity>
{
    public void Configure(EntityTypeBuilder<AgentLabelEntity> builder)
    {
        builder.ToTable("agent_labels").HasKey(l => new { l.AgentId, l.Label });
        builder.HasOne<AgentEntity>().WithMany().HasForeignKey(l => l.AgentId);
    }
}
