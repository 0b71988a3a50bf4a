using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Tenancy;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>Callers by the access token that they present. Entries are dropped the moment that the user, its sessions or its tenant change.</summary>
internal sealed class AccessTokenCache(AccessTokens tokens, ServiceDb<TenantDb> db, ICallerStore store, TimeProvider time)
{
    private const int MaxEntries = 50_000;

    private readonly ConcurrentDictionary<string, Entry> _entries = new(StringComparer.Ordinal);
    private long _generation;

    private sealed record Entry(Caller Caller, DateTimeOffset ValidUntil);

    public ValueTask<Caller?> FindAsync(string token, CancellationToken cancellationToken)
    {
        if (!_entries.TryGetValue(token, out Entry? entry)) return LoadAsync(token, cancellationToken);
        if (entry.ValidUntil > time.GetUtcNow()) return new(entry.Caller);
        _entries.TryRemove(token, out _);
        return new((Caller?)null);
    }

    /// <summary>Forgets every caller of a tenant, or of one user of it.</summary>
    public void Forget(string tenantId, string? userId)
    {
        // A load that is under way may have read the old rows: it must not be cached.
        Interlocked.Increment(ref _generation);
        foreach ((string token, Entry entry) in _entries)
            if (entry.Caller.TenantId == tenantId && (userId is null || entry.Caller.UserId == userId)) _entries.TryRemove(token, out _);
    }

    /// <summary>Forgets every caller.</summary>
    public void ForgetAll()
    {
        Interlocked.Increment(ref _generation);
        _entries.Clear();
    }

    private async ValueTask<Caller?> LoadAsync(string token, CancellationToken cancellationToken)
    {
        if (await tokens.VerifyAsync(token, cancellationToken) is not { } claims) return null;
        long generation = Volatile.Read(ref _generation);
        // The token itself was verified; what is looked up is whether its session still stands.
        string session = $"session:{claims.TenantId}:{claims.UserId}:{claims.FamilyId}:{claims.ValidUntil.ToUnixTimeSeconds()}";
        if (await store.GetOrLoadAsync(session, ct => ReadAsync(claims, ct), cancellationToken) is not { } caller) return null;
        if (_entries.Count >= MaxEntries) MakeRoom();
        if (generation == Volatile.Read(ref _generation)) _entries[token] = new Entry(caller, claims.ValidUntil);
        // Between the check and the insert the session may have been revoked: look again rather than lock every request.
        if (generation != Volatile.Read(ref _generation)) _entries.TryRemove(token, out _);
        return caller;
    }

    private async Task<Caller?> ReadAsync(AccessTokenClaims claims, CancellationToken cancellationToken)
    {
        await using TenantDb context = db.OpenSystem("authentication");
        var row = await context.RefreshTokens.AsNoTracking()
            .Where(t => t.FamilyId == claims.FamilyId && t.UserId == claims.UserId && t.TenantId == claims.TenantId && t.RevokedAt == null)
            .Join(context.Users, t => t.UserId, u => u.Id, (t, u) => u)
            .Join(context.Tenants, u => u.TenantId, t => t.Id, (u, t) => new { User = u, Tenant = t })
            .FirstOrDefaultAsync(cancellationToken);
        if (row is not { User.Status: UserStatus.Active, Tenant.Status: TenantStatus.Active }) return null;
        return new Caller
        {
            TenantId = row.Tenant.Id,
            TenantSlug = row.Tenant.Slug,
            UserId = row.User.Id,
            Scopes = ScopeNames.Of(row.User.Role),
            Limits = row.Tenant.Limits,
            ValidUntil = claims.ValidUntil,
        };
    }

    private void MakeRoom()
    {
        DateTimeOffset now = time.GetUtcNow();
        foreach ((string token, Entry entry) in _entries)
            if (entry.ValidUntil <= now) _entries.TryRemove(token, out _);
        if (_entries.Count >= MaxEntries) _entries.Clear();
    }
}
