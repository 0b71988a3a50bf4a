using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;
using MultiAgent.Tenants.Callers;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>Refresh tokens in a SQLite file, whose one writer puts the steps in order.</summary>
internal sealed class SqliteSessionStore([FromKeyedServices(TenantModule.Service)] SqliteDatabase database) : ISessionStore
{
    public Task StartAsync(Session session, string tokenHash, DateTimeOffset now, DateTimeOffset expiresAt) => database.Writer.WriteAsync(s =>
    {
        Insert(s, session.TenantId, session.UserId, session.FamilyId, tokenHash, now, expiresAt);
        s.Prepare("/* all tenants */ DELETE FROM refresh_tokens WHERE rowid IN (SELECT rowid FROM refresh_tokens WHERE expires_at < ?1 LIMIT ?2)").Bind(1, now).Bind(2, ISessionStore.CleanupBatch).Execute();
    });

    public Task<RefreshTokenRow?> FindAsync(string tokenHash) => Task.FromResult(database.Read(s => Find(s, tokenHash)));

    public Task<(RefreshOutcome Outcome, RefreshTokenRow? Row)> RotateAsync(string tokenHash, string nextHash, DateTimeOffset now, DateTimeOffset expiresAt) => database.Writer.WriteAsync<(RefreshOutcome, RefreshTokenRow?)>(s =>
    {
        if (Find(s, tokenHash) is not { } row) return (RefreshOutcome.Invalid, null);
        if (row.Used)
        {
            Revoke(s, row, now);
            return (RefreshOutcome.Reused, row);
        }
        if (row.Revoked || row.ExpiresAt <= now || !row.Active) return (RefreshOutcome.Invalid, null);
        s.Prepare("UPDATE refresh_tokens SET used_at = ?2 WHERE token_hash = ?1 AND tenant_id = ?3").Bind(1, tokenHash).Bind(2, now).Bind(3, row.TenantId).Execute();
        Insert(s, row.TenantId, row.UserId, row.FamilyId, nextHash, now, expiresAt);
        return (RefreshOutcome.Rotated, row);
    });

    public Task RevokeAsync(RefreshTokenRow row, DateTimeOffset now) => database.Writer.WriteAsync(s => Revoke(s, row, now));

    private static void Insert(SqliteSession s, string tenantId, string userId, string familyId, string tokenHash, DateTimeOffset now, DateTimeOffset expiresAt) => s
        .Prepare("INSERT INTO refresh_tokens (id, tenant_id, user_id, family_id, token_hash, expires_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .Bind(1, Ids.New("rft", now)).Bind(2, tenantId).Bind(3, userId).Bind(4, familyId).Bind(5, tokenHash).Bind(6, expiresAt).Bind(7, now).Execute();

    private static void Revoke(SqliteSession s, RefreshTokenRow row, DateTimeOffset now)
    {
        int revoked = s.Prepare("UPDATE refresh_tokens SET revoked_at = ?2 WHERE family_id = ?1 AND tenant_id = ?3 AND revoked_at IS NULL").Bind(1, row.FamilyId).Bind(2, now).Bind(3, row.TenantId).Execute();
        if (revoked > 0) Outbox.Add(s, CallerChanges.Envelope(new CallerChanged(row.TenantId, null, row.UserId), now));
    }

    private static RefreshTokenRow? Find(SqliteSession s, string tokenHash)
    {
        SqliteStatement find = s.Prepare("""
            SELECT r.tenant_id, r.user_id, r.family_id, r.used_at, r.revoked_at, r.expires_at, u.status, t.status
            FROM refresh_tokens r JOIN users u ON u.id = r.user_id JOIN tenants t ON t.id = r.tenant_id WHERE r.token_hash = ?1
            """).Bind(1, tokenHash);
        if (!find.Step()) return null;
        var row = new RefreshTokenRow(find.Text(0), find.Text(1), find.Text(2), !find.IsNull(3), !find.IsNull(4), find.Time(5),
            find.Text(6) == nameof(UserStatus.Active) && find.Text(7) == nameof(TenantStatus.Active));
        find.Reset();
        return row;
    }
}
