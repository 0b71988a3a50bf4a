using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.Tenants;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>
/// Callers by the key that they present, so that the steady state asks no database. Entries are dropped the moment that a key
/// or its tenant changes.
/// </summary>
internal sealed class ApiKeyCache(ServiceDb<TenantDb> db, ICallerStore store, TimeProvider time)
{
    // Keys that exist; a flood of wrong ones is never cached.
    private const int MaxEntries = 100_000;

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private long _generation;

    // Kept apart from the callers, which may be forgotten every moment: a use must not be forgotten with them.
    private readonly ConcurrentDictionary<string, Use> _uses = new(StringComparer.Ordinal);

    /// <summary>When a key was last used, in Unix milliseconds; written out now and then.</summary>
    public sealed class Use(string tenantId, string apiKeyId)
    {
        public string TenantId => tenantId;

        public string ApiKeyId => apiKeyId;

        public long Last;

        public long Written;
    }

    private sealed record Entry(Caller Caller, DateTimeOffset? ExpiresAt, Use Use);

    public IEnumerable<Use> Uses => _uses.Values;

    /// <summary>Lets go of uses that are written, where there are very many.</summary>
    public void TrimUses()
    {
        if (_uses.Count <= MaxEntries) return;
        foreach ((string key, Use use) in _uses)
            if (Volatile.Read(ref use.Last) == use.Written) _uses.TryRemove(key, out _);
    }

    public ValueTask<Caller?> FindAsync(string presentedKey, CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(presentedKey, out Entry? entry)) return LoadAsync(presentedKey, cancellationToken);
        return new(Used(entry));
    }

    /// <summary>Forgets every caller of a tenant, or one key of it. Takes effect with the next request.</summary>
    public void Forget(string tenantId, string? apiKeyId)
    {
        // A load that is under way may have read the old row: it must not be cached.
        Interlocked.Increment(ref _generation);
        foreach ((string key, Entry entry) in _entries)
            if (entry.Caller.TenantId == tenantId && (apiKeyId is null || entry.Caller.ApiKeyId == apiKeyId)) _entries.TryRemove(key, out _);
    }

    /// <summary>Forgets every caller.</summary>
    public void ForgetAll()
    {
        Interlocked.Increment(ref _generation);
        _entries.Clear();
    }

    private Caller? Used(Entry entry)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (entry.ExpiresAt <= now) return null;
        Volatile.Write(ref entry.Use.Last, now.ToUnixTimeMilliseconds());
        return entry.Caller;
    }

    private async ValueTask<Caller?> LoadAsync(string presentedKey, CancellationToken cancellationToken)
    {
        long generation = Volatile.Read(ref _generation);
        string hash = ApiKeySecret.HashOf(presentedKey);
        if (await store.GetOrLoadAsync($"key:{hash}", ct => ReadAsync(hash, ct), cancellationToken) is not { } caller) return null;
        var entry = new Entry(caller, caller.ValidUntil, _uses.GetOrAdd(caller.ApiKeyId!, id => new Use(caller.TenantId, id)));
        if (_entries.Count >= MaxEntries) _entries.Clear();
        if (generation == Volatile.Read(ref _generation)) _entries[presentedKey] = entry;
        // Between the check and the insert a key may have been revoked: look again rather than lock every request.
        if (generation != Volatile.Read(ref _generation)) _entries.TryRemove(presentedKey, out _);
        return Used(entry);
    }

    private async Task<Caller?> ReadAsync(string hash, CancellationToken cancellationToken)
    {
        await using TenantDb context = db.OpenSystem("authentication");
        var row = await context.ApiKeys.AsNoTracking().Where(k => k.SecretHash == hash && k.RevokedAt == null)
            .Join(context.Tenants, k => k.TenantId, t => t.Id, (k, t) => new { Key = k, Tenant = t })
            .FirstOrDefaultAsync(cancellationToken);
        if (row is null || row.Tenant.Status != TenantStatus.Active) return null;
        ApiKey key = row.Key;
        return new Caller
        {
            TenantId = key.TenantId,
            TenantSlug = row.Tenant.Slug,
            UserId = key.CreatedBy,
            ApiKeyId = key.Id,
            Scopes = key.ScopeSet(),
            Limits = row.Tenant.Limits,
            ValidUntil = key.ExpiresAt,
            KeyLimits = key.RequestsPerMinute is null && key.Burst is null ? null : new KeyLimits { RequestsPerMinute = key.RequestsPerMinute, Burst = key.Burst },
        };
    }
}
