using Microsoft.Extensions.Caching.Hybrid;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// Callers in Redis through <see cref="HybridCache"/>; the first level is the exact one of the tenant service, which knows what to forget. The number of changes so far is
/// part of each key: any change of a caller, of whatever tenant, makes all that was kept before unreachable.
/// </summary>
internal sealed class RedisCallerStore(HybridCache cache, RedisConnection redis, RedisCallerFeed feed) : ICallerStore
{
    private static readonly HybridCacheEntryOptions Look = new()
    {
        Flags = HybridCacheEntryFlags.DisableLocalCache | HybridCacheEntryFlags.DisableUnderlyingData | HybridCacheEntryFlags.DisableDistributedCacheWrite,
    };

    private static readonly HybridCacheEntryOptions Keep = new() { Expiration = TimeSpan.FromMinutes(10), Flags = HybridCacheEntryFlags.DisableLocalCache };

    public async ValueTask<Caller?> GetOrLoadAsync(string credential, Func<CancellationToken, Task<Caller?>> load, CancellationToken cancellationToken)
    {
        // Who does not hear of changes must not believe what others have found.
        if (!redis.IsUp || feed.Number is not { } number) return await load(cancellationToken);
        string key = $"caller:{number}:{credential}";
        Caller? known = await cache.GetOrCreateAsync(key, static _ => ValueTask.FromResult<Caller?>(null), Look, cancellationToken: cancellationToken);
        if (known is not null) return known;
        known = await load(cancellationToken);
        // A change since then may or may not be in what was read.
        if (known is not null && feed.Number == number) await cache.SetAsync(key, known, Keep, cancellationToken: cancellationToken);
        return known;
    }
}
