using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Orchestrator.Tools.Results;

/// <summary>A result that is larger than what a model gets at once.</summary>
internal sealed class ToolResultEntity : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string RunId { get; init; }
    public required string Tool { get; init; }
    /// <summary>UTF-8.</summary>
    public required byte[] Content { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
}

internal sealed class ToolResultConfiguration : IEntityTypeConfiguration<ToolResultEntity>
{
    public void Configure(EntityTypeBuilder<ToolResultEntity> builder) => builder.ToTable("tool_results").HasKey(r => r.Id);
}
