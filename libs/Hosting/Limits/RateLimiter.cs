using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Limits;

/// <summary>The rate limits of a process by itself.</summary>
public sealed class RateLimiter(IOptions<LimitsOptions> options, TimeProvider time) : IRateLimiter
{
    // Far above the number of active keys of a process; beyond it, full buckets are dropped, which changes no decision.
    private const int MaxBuckets = 100_000;

    private readonly ConcurrentDictionary<string, TokenBucket> _buckets = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<int, string> _limitTexts = new();
    private readonly LimitsOptions _defaults = options.Value;
    private readonly long _origin = time.GetTimestamp();

    public ValueTask<RateLimitDecision> TakeAsync(Caller caller) => new(Take(caller));

    public ValueTask<RateLimitDecision?> TakeSharedAsync(string name, int perMinute, int burst) => new((RateLimitDecision?)null);

    public RateLimitDecision Take(Caller caller)
    {
        long now = time.GetElapsedTime(_origin).Ticks;
        (int perMinute, int burst) = _defaults.RateOf(caller);
        TokenBucket tenant = Bucket(caller.TenantId, now);
        long interval = Interval(perMinute);
        bool allowed = tenant.TryTake(now, interval, burst, out long remaining, out long reset, out long retry);
        if (!allowed || caller.KeyLimits?.RequestsPerMinute is not { } keyPerMinute || caller.ApiKeyId is not { } keyId)
            return Decision(allowed, perMinute, remaining, reset, retry);

        int keyBurst = LimitsOptions.KeyBurst(caller.KeyLimits, burst);
        bool keyAllowed = Bucket(keyId, now).TryTake(now, Interval(keyPerMinute), keyBurst, out long keyRemaining, out long keyReset, out long keyRetry);
        if (!keyAllowed)
        {
            // A key over its own limit must not eat the tenant's.
            tenant.GiveBack(interval);
            return Decision(false, keyPerMinute, 0, keyReset, keyRetry);
        }
        return keyRemaining < remaining ? Decision(true, keyPerMinute, keyRemaining, keyReset, 0) : Decision(true, perMinute, remaining, reset, 0);
    }

    private static long Interval(int perMinute) => Math.Max(1, TimeSpan.TicksPerMinute / perMinute);

    private RateLimitDecision Decision(bool allowed, int limit, long remaining, long reset, long retry) =>
        new(allowed, limit, _limitTexts.GetOrAdd(limit, static l => l.ToString(CultureInfo.InvariantCulture)), remaining,
            TimeSpan.FromTicks(Math.Max(0, reset)), TimeSpan.FromTicks(retry));

    private TokenBucket Bucket(string id, long now)
    {
        if (_buckets.TryGetValue(id, out TokenBucket? bucket)) return bucket;
        if (_buckets.Count >= MaxBuckets)
        {
            foreach ((string other, TokenBucket full) in _buckets)
                if (full.LastArrival <= now) _buckets.TryRemove(other, out _);
        }
        return _buckets.GetOrAdd(id, static _ => new TokenBucket());
    }
}
