using System.Net;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Tenants.Auth;

/// <summary>Attempts to log in per client address, over all replicas: against trying one password on many accounts.</summary>
internal sealed class LoginAddressLimit(IOptions<AuthOptions> options, IRateLimiter shared, TimeProvider time)
{
    // Before the shared one: a flood from one address must not become a flood of questions to a server.
    private readonly AddressLimiter _own = new(options.Value.AttemptsPerMinute, options.Value.AttemptBurst, time);

    /// <summary>Takes one attempt; null, or the time after which there is one.</summary>
    public async ValueTask<TimeSpan?> TakeAsync(IPAddress? address)
    {
        if (!_own.TryTake(address, out TimeSpan retryAfter)) return retryAfter;
        RateLimitDecision? decision = await shared.TakeSharedAsync($"login:{AddressLimiter.NetworkOf(address)}", options.Value.AttemptsPerMinute, options.Value.AttemptBurst);
        return decision is { Allowed: false } refused ? refused.RetryAfter : null;
    }
}
