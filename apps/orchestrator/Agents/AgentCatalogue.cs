using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Clients;
using MultiAgent.Data;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>
/// Finds agents by reference (<c>slug</c>, <c>slug@label</c>, <c>slug@version</c>) and keeps them compiled in memory. A change
/// of an agent drops what is kept of it. Where processes share the database, another one may have changed it: what a reference means is then looked up
/// again after two seconds, and a version, which never changes, is not.
/// </summary>
internal sealed class AgentCatalogue(ServiceDb<OrchestratorDb> db, ToolRegistry tools, ToolBinder binder, Databases databases, TimeProvider time)
{
    public const string DefaultLabel = "production";
    private const int MaxCached = 10_000;

    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<(string TenantId, string Reference), (CompiledAgent Agent, long Read)> _byReference = new();
    private readonly ConcurrentDictionary<(string AgentId, int Version), CompiledAgent> _byVersion = new();
    private long _changes;

    /// <summary>The agent, or null when the tenant has none of that name, label or version.</summary>
    /// <param name="tenantId">The caller's tenant.</param>
    /// <param name="reference">Untrusted.</param>
    public ValueTask<CompiledAgent?> FindAsync(string tenantId, string reference, CancellationToken cancellationToken)
    {
        ValueTask<CompiledAgent?> found = FindUnboundAsync(tenantId, reference, cancellationToken);
        return found is { IsCompletedSuccessfully: true, Result: not { NeedsBinding: true } } ? found : BindAsync(found, cancellationToken);
    }

    /// <summary>The agent as it is written, without those of its tools that are not built in.</summary>
    public ValueTask<CompiledAgent?> FindUnboundAsync(string tenantId, string reference, CancellationToken cancellationToken) =>
        _byReference.TryGetValue((tenantId, reference), out (CompiledAgent Agent, long Read) kept) && (!databases.UsesPostgres || time.GetElapsedTime(kept.Read) < Fresh)
            ? new(kept.Agent) : new(LoadAsync(tenantId, reference, cancellationToken));

    /// <summary>A version by number, of a deleted agent too: a run keeps the version that it started with.</summary>
    public ValueTask<CompiledAgent?> FindVersionAsync(string tenantId, string agentId, int version, CancellationToken cancellationToken) =>
        BindAsync(FindUnboundVersionAsync(tenantId, agentId, version, cancellationToken), cancellationToken);

    private async ValueTask<CompiledAgent?> BindAsync(ValueTask<CompiledAgent?> finding, CancellationToken cancellationToken) =>
        await finding is not { } agent ? null : agent.NeedsBinding ? await binder.BindAsync(agent, cancellationToken) : agent;

    private async ValueTask<CompiledAgent?> FindUnboundVersionAsync(string tenantId, string agentId, int version, CancellationToken cancellationToken)
    {
        if (agentId.StartsWith(CompiledAgent.ModelPrefix, StringComparison.Ordinal)) return OfModel(tenantId, agentId[CompiledAgent.ModelPrefix.Length..]);
        if (_byVersion.TryGetValue((agentId, version), out CompiledAgent? cached)) return cached.TenantId == tenantId ? cached : null;
        await using OrchestratorDb context = db.Open(tenantId);
        string? slug = await context.Agents.Where(a => a.Id == agentId).Select(a => a.Slug).SingleOrDefaultAsync(cancellationToken);
        string? definition = await context.AgentVersions.Where(v => v.AgentId == agentId && v.Number == version).Select(v => v.Definition).SingleOrDefaultAsync(cancellationToken);
        return slug is null || definition is null ? null : Compile(agentId, tenantId, slug, version, definition);
    }

    /// <summary>An agent that is nothing but a model.</summary>
    public CompiledAgent OfModel(string tenantId, string model) => CompiledAgent.OfModel(tenantId, model, tools);

    public async ValueTask<IReadOnlyList<AgentSummary>> ListAsync(string tenantId, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        var agents = await context.Agents.Where(a => a.DeletedAt == null).OrderBy(a => a.Slug).Take(1000).Select(a => new { a.Slug, a.CreatedAt }).ToListAsync(cancellationToken);
        var result = new List<AgentSummary>(agents.Count);
        foreach (var agent in agents)
        {
            if (await FindUnboundAsync(tenantId, agent.Slug, cancellationToken) is { } found)
                result.Add(new AgentSummary(agent.Slug, found.Spec.Name ?? agent.Slug, agent.CreatedAt));
        }
        return result;
    }

    /// <summary>Forgets what is kept of an agent's references. Call it after the change is committed.</summary>
    public void Changed(string tenantId, string slug)
    {
        Interlocked.Increment(ref _changes);
        foreach ((string TenantId, string Reference) key in _byReference.Keys)
        {
            if (key.TenantId == tenantId && (key.Reference == slug || key.Reference.StartsWith(slug + "@", StringComparison.Ordinal)))
                _byReference.TryRemove(key, out _);
        }
    }

    private async Task<CompiledAgent?> LoadAsync(string tenantId, string reference, CancellationToken cancellationToken)
    {
        long before = Volatile.Read(ref _changes), read = time.GetTimestamp();
        int at = reference.IndexOf('@');
        string slug = at < 0 ? reference : reference[..at], selector = at < 0 ? DefaultLabel : reference[(at + 1)..];
        if (slug.Length is 0 or > 64 || selector.Length is 0 or > 32 || reference.Contains('\0', StringComparison.Ordinal)) return null;
        await using OrchestratorDb context = db.Open(tenantId);
        string? agentId = await context.Agents.Where(a => a.Slug == slug && a.DeletedAt == null).Select(a => a.Id).SingleOrDefaultAsync(cancellationToken);
        if (agentId is null) return null;
        if (!int.TryParse(selector, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            int? labelled = await context.AgentLabels.Where(l => l.AgentId == agentId && l.Label == selector).Select(l => (int?)l.Version).SingleOrDefaultAsync(cancellationToken);
            if (labelled is null) return null;
            number = labelled.Value;
        }
        string? definition = await context.AgentVersions.Where(v => v.AgentId == agentId && v.Number == number).Select(v => v.Definition).SingleOrDefaultAsync(cancellationToken);
        if (definition is null) return null;
        CompiledAgent agent = _byVersion.TryGetValue((agentId, number), out CompiledAgent? cached) ? cached : Compile(agentId, tenantId, slug, number, definition);
        // What was read before a change must not be kept after it.
        if (Volatile.Read(ref _changes) == before)
        {
            if (_byReference.Count >= MaxCached) _byReference.Clear();
            _byReference[(tenantId, reference)] = (agent, read);
            if (Volatile.Read(ref _changes) != before) _byReference.TryRemove((tenantId, reference), out _);
        }
        return agent;
    }

    private CompiledAgent Compile(string agentId, string tenantId, string slug, int version, string definition)
    {
        CompiledAgent agent = CompiledAgent.Compile(agentId, tenantId, slug, version, definition, tools);
        if (_byVersion.Count >= MaxCached) _byVersion.Clear();
        _byVersion[(agentId, version)] = agent;
        return agent;
    }
}
