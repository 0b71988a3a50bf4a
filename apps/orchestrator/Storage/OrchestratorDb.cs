using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Tools.Results;
using MultiAgent.Orchestrator.Tools.Sources;
using MultiAgent.Orchestrator.Workflows.Definitions;

namespace MultiAgent.Orchestrator.Storage;

/// <summary>The orchestrator's entities for EF Core: configuration. Runs, messages and their events go through their stores.</summary>
internal sealed class OrchestratorDb(DbContextOptions options, TenantScope scope) : ServiceDbContext(options, scope)
{
    protected override string ServiceName => OrchestratorModule.ServiceName;

    public DbSet<AgentEntity> Agents => Set<AgentEntity>();

    public DbSet<AgentVersionEntity> AgentVersions => Set<AgentVersionEntity>();

    public DbSet<AgentLabelEntity> AgentLabels => Set<AgentLabelEntity>();

    public DbSet<WorkflowEntity> Workflows => Set<WorkflowEntity>();

    public DbSet<WorkflowVersionEntity> WorkflowVersions => Set<WorkflowVersionEntity>();

    public DbSet<WorkflowLabelEntity> WorkflowLabels => Set<WorkflowLabelEntity>();

    public DbSet<ToolSourceEntity> ToolSources => Set<ToolSourceEntity>();

    public DbSet<ToolResultEntity> ToolResults => Set<ToolResultEntity>();
}
