using MultiAgent.Contracts.Events;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Auth;

namespace MultiAgent.Tenants.Callers;

/// <summary>The cached callers of both kinds of credential, forgotten together, in this process and in all others.</summary>
internal sealed class CallerCache(ApiKeyCache keys, AccessTokenCache tokens, ICallerChangeFeed feed) : IStartupTask, IDisposable
{
    private IDisposable? _subscription;

    public Task RunAsync(CancellationToken cancellationToken)
    {
        _subscription ??= feed.Subscribe(OnChanged, OnMissed);
        feed.BeginTelling();
        return Task.CompletedTask;
    }

    /// <summary>Forgets what a change may have made wrong; the next request reads the database again.</summary>
    public void Forget(CallerChanged change) => feed.Raise(change);

    public void Dispose() => _subscription?.Dispose();

    private void OnChanged(CallerChanged change)
    {
        bool wholeTenant = change.ApiKeyId is null && change.UserId is null;
        if (wholeTenant || change.ApiKeyId is not null) keys.Forget(change.TenantId, change.ApiKeyId);
        if (wholeTenant || change.UserId is not null) tokens.Forget(change.TenantId, change.UserId);
    }

    private void OnMissed()
    {
        keys.ForgetAll();
        tokens.ForgetAll();
    }
}
