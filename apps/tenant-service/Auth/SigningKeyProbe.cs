using MultiAgent.Hosting.Health;

namespace MultiAgent.Tenants.Auth;

/// <summary>Without a key nobody can log in; API keys still work.</summary>
internal sealed class SigningKeyProbe(SigningKeys keys) : IHealthProbe
{
    public string Service => TenantModule.Service;

    public string Name => "signing-keys";

    public ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken) =>
        new(keys.ValidKeys is > 0 and var count ? ProbeResult.Ok($"{count} valid") : ProbeResult.Degraded("no valid key yet; the next log-in makes one"));
}
