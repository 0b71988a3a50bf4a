using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// Rate limits shared by all replicas. Most requests take a token that this process holds a lease of and ask nobody; see <see cref="SharedBucket"/>. While
/// Redis is gone the process goes by limits of its own.
/// </summary>
internal sealed class RedisRateLimiter(RedisConnection redis, RateLimiter local, IOptions<LimitsOptions> options, TimeProvider time) : BackgroundService, IRateLimiter
{
    private const int MaxBuckets = 100_000;

    // An answer gives at most an eighth of what is left, so that this many see the end of any bucket.
    private const int MaxAttempts = 100;
    private static readonly long IdleTicks = TimeSpan.FromMinutes(2).Ticks;

    private readonly ConcurrentDictionary<string, SharedBucket> _buckets = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<int, string> _limitTexts = new();
    private readonly LimitsOptions _defaults = options.Value;
    private readonly long _origin = time.GetTimestamp();

    internal int Count => _buckets.Count;

    public ValueTask<RateLimitDecision> TakeAsync(Caller caller)
    {
        if (!redis.IsUp) return local.TakeAsync(caller);
        (int perMinute, int burst) = _defaults.RateOf(caller);
        bool keyed = caller.KeyLimits?.RequestsPerMinute is not null && caller.ApiKeyId is not null;
        var tenant = new Limit(Bucket(caller.TenantId), perMinute, burst);
        RateLimitDecision decision;
        if (!keyed) return TryTake(tenant, out decision) ? new(decision) : AskAsync(caller, tenant, null);
        int keyPerMinute = caller.KeyLimits!.RequestsPerMinute!.Value;
        var key = new Limit(Bucket(caller.ApiKeyId!), keyPerMinute, LimitsOptions.KeyBurst(caller.KeyLimits, burst));
        return TryTakeBoth(tenant, key, out decision) ? new(decision) : AskAsync(caller, tenant, key);
    }

    public async ValueTask<RateLimitDecision?> TakeSharedAsync(string name, int perMinute, int burst)
    {
        if (!redis.IsUp) return null;
        var limit = new Limit(Bucket(name), perMinute, burst);
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            if (TryTake(limit, out RateLimitDecision decision)) return decision;
            if (!await RefillAsync(limit)) return null;
        }
        return Decision(false, perMinute, 0, 0, TimeSpan.TicksPerMillisecond * 100);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            long now = Now();
            foreach ((string id, SharedBucket bucket) in _buckets)
            {
                if (redis.IsUp) bucket.GiveBackUnused(redis, now);
                if (now - bucket.LastUsed > IdleTicks) _buckets.TryRemove(id, out _);
            }
        }
    }

    private async ValueTask<RateLimitDecision> AskAsync(Caller caller, Limit tenant, Limit? key)
    {
        for (int attempt = 0; attempt < MaxAttempts; attempt++)
        {
            // Who finds the lease taken by others asks again; nobody is turned away before Redis has said so.
            if (tenant.Bucket.IsEmpty(Now()) && !await RefillAsync(tenant)) return local.Take(caller);
            if (key is { } own && own.Bucket.IsEmpty(Now()) && !await RefillAsync(own)) return local.Take(caller);
            RateLimitDecision decision;
            if (key is { } both ? TryTakeBoth(tenant, both, out decision) : TryTake(tenant, out decision)) return decision;
        }
        // Others took every token that came: the limit is as good as reached.
        return Decision(false, tenant.PerMinute, 0, 0, TimeSpan.TicksPerMillisecond * 100);
    }

    // False: the lease is used up, and Redis must be asked.
    private bool TryTake(Limit limit, out RateLimitDecision decision)
    {
        SharedBucket.Take take = limit.Bucket.TryTake(Now(), out long remaining, out long reset, out long retry, out bool low);
        if (low) _ = RefillAsync(limit);
        decision = Decision(take == SharedBucket.Take.Allowed, limit.PerMinute, remaining, reset, retry);
        return take != SharedBucket.Take.Empty;
    }

    private bool TryTakeBoth(Limit tenant, Limit key, out RateLimitDecision decision)
    {
        if (!TryTake(tenant, out decision)) return false;
        if (!decision.Allowed) return true;
        bool known = TryTake(key, out RateLimitDecision own);
        // A key over its own limit must not eat the tenant's.
        if (!known || !own.Allowed) tenant.Bucket.PutBack();
        if (own.Remaining < decision.Remaining || !own.Allowed) decision = own;
        return known;
    }

    private Task<bool> RefillAsync(Limit limit) =>
        limit.Bucket.RefillAsync(redis, Now, Math.Max(1, TimeSpan.TicksPerMinute / limit.PerMinute), limit.Burst);

    private RateLimitDecision Decision(bool allowed, int limit, long remaining, long reset, long retry) =>
        new(allowed, limit, _limitTexts.GetOrAdd(limit, static l => l.ToString(CultureInfo.InvariantCulture)), remaining, TimeSpan.FromTicks(reset), TimeSpan.FromTicks(retry));

    private SharedBucket Bucket(string id)
    {
        if (_buckets.TryGetValue(id, out SharedBucket? bucket)) return bucket;
        // A bucket that is dropped loses its lease only: less than the limit, never more.
        if (_buckets.Count >= MaxBuckets) _buckets.Clear();
        return _buckets.GetOrAdd(id, static (name, redis) => new SharedBucket(redis.Key("rate", name)), redis);
    }

    private long Now() => time.GetElapsedTime(_origin).Ticks + 1;

    private readonly record struct Limit(SharedBucket Bucket, int PerMinute, int Burst);
}
