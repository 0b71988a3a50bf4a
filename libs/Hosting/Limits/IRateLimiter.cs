using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Limits;

/// <summary>The outcome of taking from a caller's rate limit; of tenant and key, the one with less left.</summary>
public readonly record struct RateLimitDecision(bool Allowed, int Limit, string LimitText, long Remaining, TimeSpan ResetAfter, TimeSpan RetryAfter);

/// <summary>Token buckets per tenant and per API key. A request takes one token of each.</summary>
public interface IRateLimiter
{
    /// <summary>Takes one request's worth. Completes at once in the steady state; never fails, and never waits long for a server.</summary>
    ValueTask<RateLimitDecision> TakeAsync(Caller caller);

    /// <summary>Takes one token of a bucket that all replicas share; null where nothing is shared now, and each counts for itself.</summary>
    /// <param name="name">Names the bucket; the number of names in use at a time is bounded by the caller.</param>
    /// <param name="perMinute">Tokens per minute, sustained; at least 1.</param>
    /// <param name="burst">Tokens that a full bucket holds; at least 1.</param>
    ValueTask<RateLimitDecision?> TakeSharedAsync(string name, int perMinute, int burst);
}
