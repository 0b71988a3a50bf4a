using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Tenants.Callers;
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
/// Refresh tokens. They rotate with each use, and every step is one transaction after the other, so that of
/// two uses of a token exactly one is the first. The other one ends the session, also when both come at the same moment: a
/// thief and its victim look just like that.
/// </summary>
internal sealed class Sessions(ISessionStore store, CallerCache cache, IOptions<AuthOptions> options, TimeProvider time)
{
    private const int MaxTokenLength = 128;

    public async Task<Session> StartAsync(User user)
    {
        DateTimeOffset now = time.GetUtcNow();
        var session = new Session(user.TenantId, user.Id, Ids.New("ses", now), NewToken());
        await store.StartAsync(session, HashOf(session.RefreshToken), now, now + options.Value.RefreshTokenLifetime);
        return session;
    }

    /// <summary>Exchanges a refresh token for the next one of its session.</summary>
    public async Task<(RefreshOutcome Outcome, Session? Session)> RotateAsync(string presented)
    {
        if (presented.Length > MaxTokenLength) return (RefreshOutcome.Invalid, null);
        string hash = HashOf(presented), next = NewToken();
        // Guesses are turned away by a reader; only what exists takes the writer's time.
        if (await store.FindAsync(hash) is null) return (RefreshOutcome.Invalid, null);
        DateTimeOffset now = time.GetUtcNow();
        (RefreshOutcome outcome, RefreshTokenRow? row) = await store.RotateAsync(hash, HashOf(next), now, now + options.Value.RefreshTokenLifetime);
        if (outcome == RefreshOutcome.Reused) cache.Forget(new CallerChanged(row!.TenantId, null, row.UserId));
        return (outcome, outcome == RefreshOutcome.Rotated ? new Session(row!.TenantId, row.UserId, row.FamilyId, next) : null);
    }

    /// <summary>Ends the session of a refresh token; false when there is none.</summary>
    public async Task<bool> EndAsync(string presented)
    {
        if (presented.Length > MaxTokenLength) return false;
        if (await store.FindAsync(HashOf(presented)) is not { } row) return false;
        await store.RevokeAsync(row, time.GetUtcNow());
        cache.Forget(new CallerChanged(row.TenantId, null, row.UserId));
        return true;
    }

    private static string NewToken() => "maaprt_" + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));

    private static string HashOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
}
