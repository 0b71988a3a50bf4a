using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Auth;

namespace MultiAgent.Tenants;

/// <summary>The tenant service in the same process as its callers.</summary>
internal sealed class TenantDirectory(ApiKeyCache keys, AccessTokenCache tokens) : ITenantDirectory
{
    public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) =>
        presentedKey.Length < ApiKeySecret.MinLength || presentedKey.Length > 256 ? new((Caller?)null) : keys.FindAsync(presentedKey, cancellationToken);

    public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) =>
        tokens.FindAsync(token, cancellationToken);
}
