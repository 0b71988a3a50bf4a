using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Agents;

namespace MultiAgent.Orchestrator.Storage;

/// <summary>The orchestrator's entities for EF Core: configuration. Runs, messages and their events go through their stores.</summary>
internal sealed class OrchestratorDb(DbContextOptions options, TenantScope scope) : ServiceDbContext(options, scope)
{
    public DbSet<AgentEntity> Agents => Set<AgentEntity>();

    public DbSet<AgentVersionEntity> AgentVersions => Set<AgentVersionEntity>();

    public DbSet<AgentLabelEntity> AgentLabels => Set<AgentLabelEntity>();
}
