using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>A workflow: what its versions have in common.</summary>
internal sealed class WorkflowEntity : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string Slug { get; init; }
    public required int LatestVersion { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; set; }
    public DateTimeOffset? DeletedAt { get; set; }
}

/// <summary>One immutable version; the source is kept as it was sent.</summary>
internal sealed class WorkflowVersionEntity : ITenantScoped
{
    public required string WorkflowId { get; init; }
    public required int Number { get; init; }
    public string TenantId { get; set; } = "";
    public string? Description { get; init; }
    public required string Source { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public string? CreatedBy { get; init; }
}

/// <summary>A name that points to a version.</summary>
internal sealed class WorkflowLabelEntity : ITenantScoped
{
    public required string WorkflowId { get; init; }
    public required string Label { get; init; }
    public string TenantId { get; set; } = "";
    public required int Version { get; set; }
    public required DateTimeOffset UpdatedAt { get; set; }
}

internal sealed class WorkflowConfiguration : IEntityTypeConfiguration<WorkflowEntity>
{
    public void Configure(EntityTypeBuilder<WorkflowEntity> builder)
    {
        builder.ToTable("workflows").HasKey(w => w.Id);
        builder.Property(w => w.LatestVersion).IsConcurrencyToken();
    }
}

internal sealed class WorkflowVersionConfiguration : IEntityTypeConfiguration<WorkflowVersionEntity>
{
    public void Configure(EntityTypeBuilder<WorkflowVersionEntity> builder)
    {
        builder.ToTable("workflow_versions").HasKey(v => new { v.WorkflowId, v.Number });
        builder.HasOne<WorkflowEntity>().WithMany().HasForeignKey(v => v.WorkflowId);
    }
}

internal sealed class WorkflowLabelConfiguration : IEntityTypeConfiguration<WorkflowLabelEntity>
{
    public void Configure(EntityTypeBuilder<WorkflowLabelEntity> builder)
    {
        builder.ToTable("workflow_labels").HasKey(l => new { l.WorkflowId, l.Label });
        builder.HasOne<WorkflowEntity>().WithMany().HasForeignKey(l => l.WorkflowId);
    }
}
