using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>A source of tools as it is stored.</summary>
internal sealed class ToolSourceEntity : ITenantScoped
{
    public required string Id { get; init; }
    public string TenantId { get; set; } = "";
    public required string Slug { get; init; }
    /// <summary><c>openapi</c> or <c>mcp</c>.</summary>
    public required string Kind { get; init; }
    /// <summary>JSON of a <see cref="ToolSourceSpec"/> without its secrets.</summary>
    public required string Definition { get; set; }
    /// <summary>JSON of <see cref="SourceSecrets"/>, encrypted.</summary>
    public byte[]? Secrets { get; set; }
    /// <summary>JSON of the <see cref="ImportedTool"/>s.</summary>
    public required string Tools { get; set; }
    /// <summary>Grows with every change, of what the source offers too.</summary>
    public required int Revision { get; set; }
    /// <summary>Why the source could not be read when that was last tried.</summary>
    public string? Problem { get; set; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; set; }
    public DateTimeOffset? RefreshedAt { get; set; }
}

internal sealed class ToolSourceConfiguration : IEntityTypeConfiguration<ToolSourceEntity>
{
    public void Configure(EntityTypeBuilder<ToolSourceEntity> builder)
    {
        builder.ToTable("tool_sources").HasKey(s => s.Id);
        builder.Property(s => s.Revision).IsConcurrencyToken();
    }
}
