namespace MultiAgent.Tenants.Auth;

/// <summary>A refresh token as it is stored, with what its user and tenant allow.</summary>
/// <param name="Used">It was exchanged already.</param>
/// <param name="Revoked">Its session has ended.</param>
/// <param name="Active">The user and the tenant may log in.</param>
internal sealed record RefreshTokenRow(string TenantId, string UserId, string FamilyId, bool Used, bool Revoked, DateTimeOffset ExpiresAt, bool Active);

/// <summary>Refresh tokens, known by their hashes. Every method that writes is one transaction, and those on one token come one after the other.</summary>
internal interface ISessionStore
{
    /// <summary>Expired tokens that each new session takes away.</summary>
    const int CleanupBatch = 100;

    /// <summary>Adds the first token of a session.</summary>
    Task StartAsync(Session session, string tokenHash, DateTimeOffset now, DateTimeOffset expiresAt);

    Task<RefreshTokenRow?> FindAsync(string tokenHash);

    /// <summary>
    /// Marks the token as used and adds its successor, if it is good. A token that was used before ends its session, with the event that tells it.
    /// </summary>
    Task<(RefreshOutcome Outcome, RefreshTokenRow? Row)> RotateAsync(string tokenHash, string nextHash, DateTimeOffset now, DateTimeOffset expiresAt);

    /// <summary>Ends the token's session, with the event that tells it.</summary>
    Task RevokeAsync(RefreshTokenRow row, DateTimeOffset now);
}
