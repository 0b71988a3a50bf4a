using MultiAgent.Contracts.Identity;

namespace MultiAgent.Contracts.Clients;

/// <summary>
/// The tenant service as other services see it: turns credentials into callers. Implementations cache, and keep
/// the promise that a revoked credential stops working within one second; callers must not cache on top.
/// </summary>
public interface ITenantDirectory
{
    /// <summary>
    /// The caller behind an API key, or null when the key is unknown, expired or revoked, or its tenant is suspended.
    /// Served from memory in the steady state.
    /// </summary>
    ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken);

    /// <summary>The caller behind a signed access token (JWT), or null when it is invalid, expired or revoked.</summary>
    ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken);
}
