using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Tenants.Auth;

/// <summary>Attempts to log in per client address: against trying one password on many accounts.</summary>
internal sealed class LoginAddressLimit(IOptions<AuthOptions> options, TimeProvider time)
{
    public AddressLimiter Limiter { get; } = new(options.Value.AttemptsPerMinute, options.Value.AttemptBurst, time);
}
