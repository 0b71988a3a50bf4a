using MultiAgent.Contracts.Events;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Auth;

namespace MultiAgent.Tenants.Callers;

/// <summary>The cached callers of both kinds of credential, forgotten together.</summary>
internal sealed class CallerCache(ApiKeyCache keys, AccessTokenCache tokens)
{
    /// <summary>Forgets what a change may have made wrong; the next request reads the database again.</summary>
    public void Forget(CallerChanged change)
    {
        bool wholeTenant = change.ApiKeyId is null && change.UserId is null;
        if (wholeTenant || change.ApiKeyId is not null) keys.Forget(change.TenantId, change.ApiKeyId);
        if (wholeTenant || change.UserId is not null) tokens.Forget(change.TenantId, change.UserId);
    }
}
