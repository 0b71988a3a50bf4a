using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Api;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>Reads workflows for the API.</summary>
internal sealed class WorkflowQueries(ServiceDb<OrchestratorDb> db)
{
    /// <summary>A workflow in one version with its source; the latest when no number is given.</summary>
    public async Task<(WorkflowView View, string Source)?> FindAsync(string tenantId, string slug, int? version, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        WorkflowEntity? workflow = await context.Workflows.AsNoTracking().SingleOrDefaultAsync(w => w.Slug == slug && w.DeletedAt == null, cancellationToken);
        if (workflow is null) return null;
        int number = version ?? workflow.LatestVersion;
        var found = await context.WorkflowVersions.Where(v => v.WorkflowId == workflow.Id && v.Number == number).Select(v => new { v.Description, v.Source }).SingleOrDefaultAsync(cancellationToken);
        if (found is null) return null;
        Dictionary<string, int> labels = await context.WorkflowLabels.Where(l => l.WorkflowId == workflow.Id).ToDictionaryAsync(l => l.Label, l => l.Version, cancellationToken);
        return (View(workflow, number, found.Description, labels) with { Definition = WorkflowReader.ToJson(found.Source) }, found.Source);
    }

    public async Task<Page<WorkflowView>> ListAsync(string tenantId, PageRequest page, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        IQueryable<WorkflowEntity> query = context.Workflows.AsNoTracking().Where(w => w.DeletedAt == null);
        if (page.After is { } after) query = query.Where(w => string.Compare(w.Slug, after) > 0);
        List<WorkflowEntity> workflows = await query.OrderBy(w => w.Slug).Take(page.Limit + 1).ToListAsync(cancellationToken);
        string[] ids = [.. workflows.Select(w => w.Id)];
        var labels = await context.WorkflowLabels.AsNoTracking().Where(l => ids.Contains(l.WorkflowId)).ToListAsync(cancellationToken);
        Dictionary<string, string?> descriptions = await (
            from workflow in context.Workflows
            join v in context.WorkflowVersions on workflow.Id equals v.WorkflowId
            where ids.Contains(workflow.Id) && v.Number == workflow.LatestVersion
            select new { v.WorkflowId, v.Description }).ToDictionaryAsync(v => v.WorkflowId, string? (v) => v.Description, cancellationToken);
        return Page<WorkflowView>.From(
            [.. workflows.Select(w => View(w, w.LatestVersion, descriptions.GetValueOrDefault(w.Id), labels.Where(l => l.WorkflowId == w.Id).ToDictionary(l => l.Label, l => l.Version)))],
            page.Limit, w => w.Slug);
    }

    public async Task<Page<WorkflowVersionSummary>?> VersionsAsync(string tenantId, string slug, PageRequest page, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        string? id = await context.Workflows.Where(w => w.Slug == slug && w.DeletedAt == null).Select(w => w.Id).SingleOrDefaultAsync(cancellationToken);
        if (id is null) return null;
        int before = int.TryParse(page.After, out int position) ? position : int.MaxValue;
        var versions = await context.WorkflowVersions.AsNoTracking().Where(v => v.WorkflowId == id && v.Number < before)
            .OrderByDescending(v => v.Number).Take(page.Limit + 1).Select(v => new { v.Number, v.CreatedAt, v.CreatedBy, v.Description }).ToListAsync(cancellationToken);
        var labels = await context.WorkflowLabels.AsNoTracking().Where(l => l.WorkflowId == id).ToListAsync(cancellationToken);
        return Page<WorkflowVersionSummary>.From(
            [.. versions.Select(v => new WorkflowVersionSummary(v.Number, v.CreatedAt, v.CreatedBy, v.Description, [.. labels.Where(l => l.Version == v.Number).Select(l => l.Label).Order()]))],
            page.Limit, v => v.Version.ToString());
    }

    private static WorkflowView View(WorkflowEntity workflow, int version, string? description, IReadOnlyDictionary<string, int> labels) => new()
    {
        Id = workflow.Id,
        Slug = workflow.Slug,
        Version = version,
        LatestVersion = workflow.LatestVersion,
        Labels = labels,
        Description = description,
        CreatedAt = workflow.CreatedAt,
        UpdatedAt = workflow.UpdatedAt,
    };
}
