using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Clients;
using MultiAgent.Data;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>
/// Finds workflows by slug and label or number and keeps them compiled in memory. A change of a workflow drops what is kept of it. Where processes share the
/// database, another one may have changed it: what a reference means is then looked up again after two seconds, and a version, which never changes, is not.
/// </summary>
internal sealed class WorkflowCatalogue(ServiceDb<OrchestratorDb> db, Databases databases, TimeProvider time) : IWorkflowSource
{
    public const string DefaultLabel = "production";
    private const int MaxReferences = 10_000;
    private const int MaxVersions = 1_000;

    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<(string TenantId, string Slug, string Selector), (WorkflowVersion Workflow, long Read)> _byReference = new();
    private readonly ConcurrentDictionary<(string WorkflowId, int Version), WorkflowVersion> _byVersion = new();
    private long _changes;

    /// <param name="tenantId">The caller's tenant.</param>
    /// <param name="slug">Untrusted.</param>
    /// <param name="selector">Untrusted: a label or number; null for <see cref="DefaultLabel"/>.</param>
    public ValueTask<WorkflowVersion?> FindAsync(string tenantId, string slug, string? selector, CancellationToken cancellationToken)
    {
        (string, string, string) key = (tenantId, slug, selector ?? DefaultLabel);
        return _byReference.TryGetValue(key, out (WorkflowVersion Workflow, long Read) kept) && (!databases.UsesPostgres || time.GetElapsedTime(kept.Read) < Fresh)
            ? new(kept.Workflow) : new(LoadAsync(key, cancellationToken));
    }

    public async ValueTask<WorkflowVersion?> FindVersionAsync(string tenantId, string workflowId, int version, CancellationToken cancellationToken)
    {
        if (_byVersion.TryGetValue((workflowId, version), out WorkflowVersion? cached)) return cached.TenantId == tenantId ? cached : null;
        await using OrchestratorDb context = db.Open(tenantId);
        string? slug = await context.Workflows.Where(w => w.Id == workflowId).Select(w => w.Slug).SingleOrDefaultAsync(cancellationToken);
        string? source = await context.WorkflowVersions.Where(v => v.WorkflowId == workflowId && v.Number == version).Select(v => v.Source).SingleOrDefaultAsync(cancellationToken);
        return slug is null || source is null ? null : Compile(workflowId, tenantId, slug, version, source);
    }

    public async ValueTask<IReadOnlyList<AgentSummary>> ListAsync(string tenantId, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        return await context.Workflows.Where(w => w.DeletedAt == null).OrderBy(w => w.Slug).Take(1000).Select(w => new AgentSummary(w.Slug, w.Slug, w.CreatedAt) { IsWorkflow = true }).ToListAsync(cancellationToken);
    }

    /// <summary>Forgets what is kept of a workflow's references. Call it after the change is committed.</summary>
    public void Changed(string tenantId, string slug)
    {
        Interlocked.Increment(ref _changes);
        foreach ((string TenantId, string Slug, string Selector) key in _byReference.Keys)
            if (key.TenantId == tenantId && key.Slug == slug) _byReference.TryRemove(key, out _);
    }

    private async Task<WorkflowVersion?> LoadAsync((string TenantId, string Slug, string Selector) key, CancellationToken cancellationToken)
    {
        long before = Volatile.Read(ref _changes), read = time.GetTimestamp();
        (string tenantId, string slug, string selector) = key;
        if (slug.Length is 0 or > 64 || selector.Length is 0 or > 32 || slug.Contains('\0', StringComparison.Ordinal) || selector.Contains('\0', StringComparison.Ordinal)) return null;
        await using OrchestratorDb context = db.Open(tenantId);
        string? id = await context.Workflows.Where(w => w.Slug == slug && w.DeletedAt == null).Select(w => w.Id).SingleOrDefaultAsync(cancellationToken);
        if (id is null) return null;
        if (!int.TryParse(selector, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            int? labelled = await context.WorkflowLabels.Where(l => l.WorkflowId == id && l.Label == selector).Select(l => (int?)l.Version).SingleOrDefaultAsync(cancellationToken);
            if (labelled is null) return null;
            number = labelled.Value;
        }
        if (!_byVersion.TryGetValue((id, number), out WorkflowVersion? workflow))
        {
            string? source = await context.WorkflowVersions.Where(v => v.WorkflowId == id && v.Number == number).Select(v => v.Source).SingleOrDefaultAsync(cancellationToken);
            if (source is null) return null;
            workflow = Compile(id, tenantId, slug, number, source);
        }
        // What was read before a change must not be kept after it.
        if (Volatile.Read(ref _changes) == before)
        {
            if (_byReference.Count >= MaxReferences) _byReference.Clear();
            _byReference[key] = (workflow, read);
            if (Volatile.Read(ref _changes) != before) _byReference.TryRemove(key, out _);
        }
        return workflow;
    }

    private WorkflowVersion Compile(string id, string tenantId, string slug, int version, string source)
    {
        WorkflowReading reading = WorkflowReader.Read(source);
        if (reading.Definition is null) throw new InvalidOperationException($"Workflow {slug} version {version} does not compile, though it was checked when it was saved: {reading.Problems[0]}");
        var workflow = new WorkflowVersion(id, tenantId, slug, version, reading.Definition);
        if (_byVersion.Count >= MaxVersions) _byVersion.Clear();
        _byVersion[(id, version)] = workflow;
        return workflow;
    }
}
