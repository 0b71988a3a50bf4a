using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Api;
using MultiAgent.Orchestrator.Storage;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>Reads agents for the API.</summary>
internal sealed class AgentQueries(ServiceDb<OrchestratorDb> db)
{
    /// <summary>An agent in one version; the latest when none is given.</summary>
    public async Task<AgentView?> FindAsync(string tenantId, string slug, int? version, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        AgentEntity? agent = await context.Agents.AsNoTracking().SingleOrDefaultAsync(a => a.Slug == slug && a.DeletedAt == null, cancellationToken);
        return agent is null ? null : (await ViewsAsync(context, [agent], version, cancellationToken)).SingleOrDefault();
    }

    public async Task<Page<AgentView>> ListAsync(string tenantId, PageRequest page, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        IQueryable<AgentEntity> query = context.Agents.AsNoTracking().Where(a => a.DeletedAt == null);
        if (page.After is { } after) query = query.Where(a => string.Compare(a.Slug, after) > 0);
        List<AgentEntity> agents = await query.OrderBy(a => a.Slug).Take(page.Limit + 1).ToListAsync(cancellationToken);
        return Page<AgentView>.From(await ViewsAsync(context, agents, null, cancellationToken), page.Limit, a => a.Slug);
    }

    public async Task<Page<AgentVersionSummary>?> VersionsAsync(string tenantId, string slug, PageRequest page, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        string? id = await context.Agents.Where(a => a.Slug == slug && a.DeletedAt == null).Select(a => a.Id).SingleOrDefaultAsync(cancellationToken);
        if (id is null) return null;
        int before = int.TryParse(page.After, out int position) ? position : int.MaxValue;
        var versions = await context.AgentVersions.AsNoTracking().Where(v => v.AgentId == id && v.Number < before)
            .OrderByDescending(v => v.Number).Take(page.Limit + 1).Select(v => new { v.Number, v.CreatedAt, v.CreatedBy }).ToListAsync(cancellationToken);
        var labels = await context.AgentLabels.AsNoTracking().Where(l => l.AgentId == id).ToListAsync(cancellationToken);
        return Page<AgentVersionSummary>.From(
            [.. versions.Select(v => new AgentVersionSummary(v.Number, v.CreatedAt, v.CreatedBy, [.. labels.Where(l => l.Version == v.Number).Select(l => l.Label).Order()]))],
            page.Limit, v => v.Version.ToString());
    }

    private static async Task<List<AgentView>> ViewsAsync(OrchestratorDb context, List<AgentEntity> agents, int? version, CancellationToken cancellationToken)
    {
        string[] ids = [.. agents.Select(a => a.Id)];
        var labels = await context.AgentLabels.AsNoTracking().Where(l => ids.Contains(l.AgentId)).ToListAsync(cancellationToken);
        var definitions = await (
            from agent in context.Agents
            join v in context.AgentVersions on agent.Id equals v.AgentId
            where ids.Contains(agent.Id) && v.Number == (version ?? agent.LatestVersion)
            select new { v.AgentId, v.Number, v.Definition, v.CreatedAt }).ToListAsync(cancellationToken);
        return [.. agents.SelectMany(a => definitions.Where(d => d.AgentId == a.Id).Select(d =>
            View(a, d.Number, d.Definition, labels.Where(l => l.AgentId == a.Id).ToDictionary(l => l.Label, l => l.Version))))];
    }

    private static AgentView View(AgentEntity agent, int version, string definition, IReadOnlyDictionary<string, int> labels)
    {
        AgentSpec spec = JsonSerializer.Deserialize(definition, AgentJson.Default.AgentSpec)!;
        return new AgentView
        {
            Id = agent.Id,
            Slug = agent.Slug,
            Version = version,
            LatestVersion = agent.LatestVersion,
            Labels = labels,
            Name = spec.Name,
            Description = spec.Description,
            Instructions = spec.Instructions,
            Variables = spec.Variables ?? [],
            Model = spec.Model ?? (spec.Tier is null ? "auto" : null),
            Tier = spec.Tier,
            Fallbacks = spec.Fallbacks ?? [],
            Tools = spec.Tools ?? [],
            ResponseFormat = spec.ResponseFormat,
            Temperature = spec.Temperature,
            TopP = spec.TopP,
            MaxTokens = spec.MaxTokens,
            Limits = new AgentLimits
            {
                MaxSteps = spec.Limits?.MaxSteps ?? AgentLimits.DefaultMaxSteps,
                MaxTokens = spec.Limits?.MaxTokens,
                MaxCostUsd = spec.Limits?.MaxCostUsd,
                MaxSeconds = spec.Limits?.MaxSeconds ?? AgentLimits.DefaultMaxSeconds,
                Soft = spec.Limits?.Soft,
            },
            Context = spec.Context,
            Guardrails = spec.Guardrails ?? [],
            OnBusy = spec.OnBusy ?? "reject",
            Metadata = spec.Metadata ?? new Dictionary<string, string>(),
            CreatedAt = agent.CreatedAt,
            UpdatedAt = agent.UpdatedAt,
        };
    }
}
