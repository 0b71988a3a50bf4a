using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Messaging;
using MultiAgent.Tenants.Callers;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>Refresh tokens in PostgreSQL. A step on a token locks its row, whichever replica it comes to.</summary>
internal sealed class PostgresSessionStore([FromKeyedServices(TenantModule.Service)] PostgresDatabase database) : ISessionStore
{
    // The tenant shows only once the token is found.
    private static readonly TenantScope Platform = TenantScope.System("sessions");

    public Task StartAsync(Session session, string tokenHash, DateTimeOffset now, DateTimeOffset expiresAt) => database.WriteAsync(Platform, async s =>
    {
        await InsertAsync(s, session.TenantId, session.UserId, session.FamilyId, tokenHash, now, expiresAt);
        await s.Sql("""
            /* all tenants */ DELETE FROM tenant_service.refresh_tokens WHERE id IN
                (SELECT id FROM tenant_service.refresh_tokens WHERE expires_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
            """, now, ISessionStore.CleanupBatch).ExecuteAsync();
    });

    public Task<RefreshTokenRow?> FindAsync(string tokenHash) => database.ReadAsync(Platform, s => FindAsync(s, tokenHash, ""));

    public Task<(RefreshOutcome Outcome, RefreshTokenRow? Row)> RotateAsync(string tokenHash, string nextHash, DateTimeOffset now, DateTimeOffset expiresAt) => database.WriteAsync<(RefreshOutcome, RefreshTokenRow?)>(Platform, async s =>
    {
        if (await FindAsync(s, tokenHash, "FOR UPDATE OF r") is not { } row) return (RefreshOutcome.Invalid, null);
        if (row.Used)
        {
            await RevokeAsync(s, row, now);
            return (RefreshOutcome.Reused, row);
        }
        if (row.Revoked || row.ExpiresAt <= now || !row.Active) return (RefreshOutcome.Invalid, null);
        await s.Sql("UPDATE tenant_service.refresh_tokens SET used_at = $2 WHERE token_hash = $1 AND tenant_id = $3", tokenHash, now, row.TenantId).ExecuteAsync();
        await InsertAsync(s, row.TenantId, row.UserId, row.FamilyId, nextHash, now, expiresAt);
        return (RefreshOutcome.Rotated, row);
    });

    public Task RevokeAsync(RefreshTokenRow row, DateTimeOffset now) => database.WriteAsync(Platform, s => RevokeAsync(s, row, now));

    private static Task InsertAsync(PostgresSession s, string tenantId, string userId, string familyId, string tokenHash, DateTimeOffset now, DateTimeOffset expiresAt) => s.Sql(
        "INSERT INTO tenant_service.refresh_tokens (id, tenant_id, user_id, family_id, token_hash, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        Ids.New("rft", now), tenantId, userId, familyId, tokenHash, expiresAt, now).ExecuteAsync();

    private async Task RevokeAsync(PostgresSession s, RefreshTokenRow row, DateTimeOffset now)
    {
        int revoked = await s.Sql("UPDATE tenant_service.refresh_tokens SET revoked_at = $2 WHERE family_id = $1 AND tenant_id = $3 AND revoked_at IS NULL", row.FamilyId, now, row.TenantId).ExecuteAsync();
        if (revoked > 0) await Outbox.AddAsync(s, database, CallerChanges.Envelope(new CallerChanged(row.TenantId, null, row.UserId), now));
    }

    private static Task<RefreshTokenRow?> FindAsync(PostgresSession s, string tokenHash, string locking) => s.Sql($"""
        SELECT r.tenant_id, r.user_id, r.family_id, r.used_at, r.revoked_at, r.expires_at, u.status, t.status
        FROM tenant_service.refresh_tokens r JOIN tenant_service.users u ON u.id = r.user_id JOIN tenant_service.tenants t ON t.id = r.tenant_id
        WHERE r.token_hash = $1 {locking}
        """, tokenHash).FirstAsync(row => new RefreshTokenRow(row.Text(0), row.Text(1), row.Text(2), !row.IsDBNull(3), !row.IsDBNull(4), row.Time(5),
            row.Text(6) == nameof(UserStatus.Active) && row.Text(7) == nameof(TenantStatus.Active)));
}
