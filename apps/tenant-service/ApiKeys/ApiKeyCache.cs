using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Tenants.Tenants;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>
/// Callers by the key that they present, so that the steady state asks no database. Entries are dropped the moment that a key
/// or its tenant changes.
/// </summary>
internal sealed class ApiKeyCache(ServiceDb<TenantDb> db, TimeProvider time)
{
    // Keys that exist; a flood of wrong ones is never cached.
    private const int MaxEntries = 100_000;

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private long _generation;

    public sealed class Entry(Caller caller, DateTimeOffset? expiresAt)
    {
        public Caller Caller => caller;

        public DateTimeOffset? ExpiresAt => expiresAt;

        /// <summary>When the key was last used, in Unix milliseconds; written out now and then.</summary>
        public long LastUsed;

        public long LastUsedWritten;
    }

    public IEnumerable<Entry> Entries => _entries.Values;

    public ValueTask<Caller?> FindAsync(string presentedKey, CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(presentedKey, out Entry? entry)) return LoadAsync(presentedKey, cancellationToken);
        return new(Use(entry));
    }

    /// <summary>Forgets every caller of a tenant, or one key of it. Takes effect with the next request.</summary>
    public void Forget(string tenantId, string? apiKeyId)
    {
        // A load that is under way may have read the old row: it must not be cached.
        Interlocked.Increment(ref _generation);
        foreach ((string key, Entry entry) in _entries)
            if (entry.Caller.TenantId == tenantId && (apiKeyId is null || entry.Caller.ApiKeyId == apiKeyId)) _entries.TryRemove(key, out _);
    }

    private Caller? Use(Entry entry)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (entry.ExpiresAt <= now) return null;
        Volatile.Write(ref entry.LastUsed, now.ToUnixTimeMilliseconds());
        return entry.Caller;
    }

    private async ValueTask<Caller?> LoadAsync(string presentedKey, CancellationToken cancellationToken)
    {
        long generation = Volatile.Read(ref _generation);
        string hash = ApiKeySecret.HashOf(presentedKey);
        await using TenantDb context = db.OpenSystem("authentication");
        var row = await context.ApiKeys.AsNoTracking().Where(k => k.SecretHash == hash && k.RevokedAt == null)
            .Join(context.Tenants, k => k.TenantId, t => t.Id, (k, t) => new { Key = k, Tenant = t })
            .FirstOrDefaultAsync(cancellationToken);
        if (row is null || row.Tenant.Status != TenantStatus.Active) return null;
        ApiKey key = row.Key;
        var entry = new Entry(new Caller
        {
            TenantId = key.TenantId,
            TenantSlug = row.Tenant.Slug,
            UserId = key.CreatedBy,
            ApiKeyId = key.Id,
            Scopes = key.ScopeSet(),
            Limits = row.Tenant.Limits,
            KeyLimits = key.RequestsPerMinute is null && key.Burst is null ? null : new KeyLimits { RequestsPerMinute = key.RequestsPerMinute, Burst = key.Burst },
        }, key.ExpiresAt);
        if (_entries.Count >= MaxEntries) _entries.Clear();
        if (generation == Volatile.Read(ref _generation)) _entries[presentedKey] = entry;
        // Between the check and the insert a key may have been revoked: look again rather than lock every request.
        if (generation != Volatile.Read(ref _generation)) _entries.TryRemove(presentedKey, out _);
        return Use(entry);
    }
}
