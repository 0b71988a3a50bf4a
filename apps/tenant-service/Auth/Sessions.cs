using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;
using MultiAgent.Tenants.Callers;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants.Auth;

/// <summary>A session (family of refresh tokens) and its newest refresh token, which is shown once.</summary>
internal sealed record Session(string TenantId, string UserId, string FamilyId, string RefreshToken);

internal enum RefreshOutcome
{
    Rotated,
    /// <summary>Unknown, expired or revoked.</summary>
    Invalid,
    /// <summary>The token was used before: somebody has a copy, and the session is over.</summary>
    Reused,
}

/// <summary>
/// Refresh tokens on disk. They rotate with each use, and every step is one write on the database's writer, so that of
/// two uses of a token exactly one is the first. The other one ends the session, also when both come at the same moment: a
/// thief and its victim look just like that.
/// </summary>
internal sealed class Sessions(
    [FromKeyedServices(TenantModule.Service)] SqliteDatabase database, CallerCache cache, IOptions<AuthOptions> options, TimeProvider time)
{
    private const int MaxTokenLength = 128;
    private const int CleanupBatch = 100;

    public async Task<Session> StartAsync(User user)
    {
        DateTimeOffset now = time.GetUtcNow();
        var session = new Session(user.TenantId, user.Id, Ids.New("ses", now), NewToken());
        await database.Writer.WriteAsync(s =>
        {
            Insert(s, session, now);
            s.Prepare("/* all tenants */ DELETE FROM refresh_tokens WHERE rowid IN (SELECT rowid FROM refresh_tokens WHERE expires_at < ?1 LIMIT ?2)").Bind(1, now).Bind(2, CleanupBatch).Execute();
        });
        return session;
    }

    /// <summary>Exchanges a refresh token for the next one of its session.</summary>
    public async Task<(RefreshOutcome Outcome, Session? Session)> RotateAsync(string presented)
    {
        if (presented.Length > MaxTokenLength) return (RefreshOutcome.Invalid, null);
        string hash = HashOf(presented), next = NewToken();
        // Guesses are turned away by a reader; only what exists takes the writer's time.
        if (database.Read(s => Find(s, hash)) is null) return (RefreshOutcome.Invalid, null);
        DateTimeOffset now = time.GetUtcNow();
        (RefreshOutcome outcome, Session? session) = await database.Writer.WriteAsync(s => Rotate(s, hash, next, now));
        if (outcome != RefreshOutcome.Reused) return (outcome, session);
        cache.Forget(new CallerChanged(session!.TenantId, null, session.UserId));
        return (outcome, null);
    }

    /// <summary>Ends the session of a refresh token; false when there is none.</summary>
    public async Task<bool> EndAsync(string presented)
    {
        if (presented.Length > MaxTokenLength) return false;
        string hash = HashOf(presented);
        if (database.Read(s => Find(s, hash)) is not { } row) return false;
        DateTimeOffset now = time.GetUtcNow();
        await database.Writer.WriteAsync(s => Revoke(s, row, now));
        cache.Forget(new CallerChanged(row.TenantId, null, row.UserId));
        return true;
    }

    private (RefreshOutcome, Session?) Rotate(SqliteSession s, string hash, string nextToken, DateTimeOffset now)
    {
        if (Find(s, hash) is not { } row) return (RefreshOutcome.Invalid, null);
        if (row.Used)
        {
            Revoke(s, row, now);
            return (RefreshOutcome.Reused, new Session(row.TenantId, row.UserId, row.FamilyId, ""));
        }
        if (row.Revoked || row.ExpiresAt <= now || !row.Active) return (RefreshOutcome.Invalid, null);
        s.Prepare("UPDATE refresh_tokens SET used_at = ?2 WHERE token_hash = ?1 AND tenant_id = ?3").Bind(1, hash).Bind(2, now).Bind(3, row.TenantId).Execute();
        var session = new Session(row.TenantId, row.UserId, row.FamilyId, nextToken);
        Insert(s, session, now);
        return (RefreshOutcome.Rotated, session);
    }

    private void Insert(SqliteSession s, Session session, DateTimeOffset now) => s
        .Prepare("INSERT INTO refresh_tokens (id, tenant_id, user_id, family_id, token_hash, expires_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
        .Bind(1, Ids.New("rft", now)).Bind(2, session.TenantId).Bind(3, session.UserId).Bind(4, session.FamilyId).Bind(5, HashOf(session.RefreshToken))
        .Bind(6, now + options.Value.RefreshTokenLifetime).Bind(7, now).Execute();

    private static void Revoke(SqliteSession s, Row row, DateTimeOffset now)
    {
        int revoked = s.Prepare("UPDATE refresh_tokens SET revoked_at = ?2 WHERE family_id = ?1 AND tenant_id = ?3 AND revoked_at IS NULL").Bind(1, row.FamilyId).Bind(2, now).Bind(3, row.TenantId).Execute();
        if (revoked > 0) Outbox.Add(s, CallerChanges.Envelope(new CallerChanged(row.TenantId, null, row.UserId), now));
    }

    private sealed record Row(string TenantId, string UserId, string FamilyId, bool Used, bool Revoked, DateTimeOffset ExpiresAt, bool Active);

    private static Row? Find(SqliteSession s, string hash)
    {
        SqliteStatement find = s.Prepare("""
            SELECT r.tenant_id, r.user_id, r.family_id, r.used_at, r.revoked_at, r.expires_at, u.status, t.status
            FROM refresh_tokens r JOIN users u ON u.id = r.user_id JOIN tenants t ON t.id = r.tenant_id WHERE r.token_hash = ?1
            """).Bind(1, hash);
        if (!find.Step()) return null;
        var row = new Row(find.Text(0), find.Text(1), find.Text(2), !find.IsNull(3), !find.IsNull(4), find.Time(5),
            find.Text(6) == nameof(UserStatus.Active) && find.Text(7) == nameof(TenantStatus.Active));
        find.Reset();
        return row;
    }

    private static string NewToken() => "maaprt_" + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    private static string HashOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
}
