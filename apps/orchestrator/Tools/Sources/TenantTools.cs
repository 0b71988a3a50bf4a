using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using MultiAgent.Data;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Orchestrator.Tools.Sources.Mcp;
using MultiAgent.Orchestrator.Tools.SubRuns;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>
/// Finds tools by name: built-in ones, those of the tenant's and the operator's sources, and the tenant's agents and workflows. A tenant's sources are kept in memory. Where
/// processes share the database, another one may have changed them: after two seconds it is asked which have.
/// </summary>
internal sealed partial class TenantTools(ServiceDb<OrchestratorDb> db, ToolRegistry builtIn, ToolSourceReader reader, OperatorSources operators, SubRunTools runs, Databases databases, TimeProvider time, ILogger<TenantTools> logger)
{
    private const int MaxTenants = 10_000;
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(2);

    private readonly ConcurrentDictionary<string, Kept> _byTenant = new(StringComparer.Ordinal);
    private long _changes;

    /// <summary>The tool; null when the tenant has none of that name.</summary>
    /// <param name="tenantId">The caller's tenant.</param>
    /// <param name="name">Untrusted.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public ValueTask<ITool?> FindAsync(string tenantId, string name, CancellationToken cancellationToken)
    {
        if (builtIn.Find(name) is { } tool) return new(tool);
        if (SubRunTools.IsName(name)) return runs.FindAsync(tenantId, name, cancellationToken);
        return name.IndexOf('.') is > 0 and var dot ? FindInSourceAsync(tenantId, name[..dot], name, cancellationToken) : new((ITool?)null);
    }

    /// <summary>Built-in tools and those of all sources, by name.</summary>
    public async Task<IReadOnlyList<ITool>> ListAsync(string tenantId, CancellationToken cancellationToken)
    {
        IReadOnlyList<ToolSource> own = await SourcesAsync(tenantId, cancellationToken);
        IReadOnlyList<ToolSource> shared = await operators.AllAsync(tenantId, cancellationToken);
        return [.. builtIn.All.Concat(own.Concat(shared).SelectMany(s => s.Tools)).OrderBy(t => t.Name, StringComparer.Ordinal)];
    }

    /// <summary>A source of the tenant's or the operator's.</summary>
    public async ValueTask<ToolSource?> FindSourceAsync(string tenantId, string slug, CancellationToken cancellationToken) =>
        (await SourcesAsync(tenantId, cancellationToken)).FirstOrDefault(s => s.Slug == slug) ?? await operators.FindAsync(tenantId, slug, cancellationToken);

    /// <summary>Forgets what is kept of a tenant. Call it after a change is committed.</summary>
    public void Changed(string tenantId)
    {
        Interlocked.Increment(ref _changes);
        _byTenant.TryRemove(tenantId, out _);
    }

    private async ValueTask<ITool?> FindInSourceAsync(string tenantId, string slug, string name, CancellationToken cancellationToken) =>
        (await FindSourceAsync(tenantId, slug, cancellationToken))?.Find(name);

    private ValueTask<IReadOnlyList<ToolSource>> SourcesAsync(string tenantId, CancellationToken cancellationToken) =>
        _byTenant.TryGetValue(tenantId, out Kept? kept) && (!databases.UsesPostgres || time.GetElapsedTime(kept.Read) < Fresh)
            ? new(kept.Sources) : new(LoadAsync(tenantId, kept, cancellationToken));

    private async Task<IReadOnlyList<ToolSource>> LoadAsync(string tenantId, Kept? kept, CancellationToken cancellationToken)
    {
        long before = Volatile.Read(ref _changes), read = time.GetTimestamp();
        await using OrchestratorDb context = db.Open(tenantId);
        var revisions = await context.ToolSources.OrderBy(s => s.Slug).Select(s => new { s.Id, s.Revision }).ToListAsync(cancellationToken);
        string[] changed = [.. revisions.Where(r => kept?.Revisions.GetValueOrDefault(r.Id) != r.Revision).Select(r => r.Id)];
        List<ToolSourceEntity> entities = changed.Length == 0 ? [] : await context.ToolSources.AsNoTracking().Where(s => changed.Contains(s.Id)).ToListAsync(cancellationToken);
        var sources = new List<ToolSource>(revisions.Count);
        foreach (var row in revisions)
        {
            ToolSource? source = entities.Find(e => e.Id == row.Id) is { } entity ? Load(entity) : kept?.Sources.FirstOrDefault(s => s.Id == row.Id);
            if (source is not null) sources.Add(source);
        }
        // What was read before a change must not be kept after it.
        if (Volatile.Read(ref _changes) == before)
        {
            if (_byTenant.Count >= MaxTenants) _byTenant.Clear();
            var now = new Kept(sources, revisions.ToDictionary(r => r.Id, r => r.Revision), read);
            _byTenant[tenantId] = now;
            if (Volatile.Read(ref _changes) != before) _byTenant.TryRemove(new KeyValuePair<string, Kept>(tenantId, now));
        }
        return sources;
    }

    private ToolSource? Load(ToolSourceEntity entity)
    {
        try
        {
            return reader.Load(entity);
        }
        catch (CryptographicException e)
        {
            // Without the key its calls would go out without credentials.
            LogLocked(e, entity.Slug, entity.TenantId);
            return null;
        }
    }

    private sealed record Kept(IReadOnlyList<ToolSource> Sources, IReadOnlyDictionary<string, int> Revisions, long Read);

    [LoggerMessage(EventId = 1, EventName = "ToolSourceLocked", Level = LogLevel.Error, Message = "The credentials of tool source {Source} of tenant {TenantId} cannot be decrypted; its tools are not offered. Restore the key ring, or set the credentials again")]
    private partial void LogLocked(Exception e, string source, string tenantId);
}
