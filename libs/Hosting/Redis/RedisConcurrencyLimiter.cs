using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;
using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// Slots shared by all replicas: per tenant a sorted set of the holders by the time until which they are believed. Each process renews its own, so that the
/// slots of one that died come free by themselves. While Redis is gone the process counts its own holders only.
/// </summary>
internal sealed class RedisConcurrencyLimiter(RedisConnection redis, ConcurrencyLimiter local, IOptions<RedisOptions> options, TimeProvider time) : BackgroundService, IConcurrencyLimiter
{
    private const int Chunk = 500;
    private readonly TimeSpan _belief = TimeSpan.FromSeconds(options.Value.SlotSeconds);

    // ARGV: milliseconds of belief, limit, holders. One holder over the limit is refused; with a limit of 0 all are added, whatever their number.
    private const string Script = """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
        local belief, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
        redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
        if limit > 0 and redis.call('ZCARD', KEYS[1]) >= limit and not redis.call('ZSCORE', KEYS[1], ARGV[3]) then return 0 end
        for i = 3, #ARGV do redis.call('ZADD', KEYS[1], now + belief, ARGV[i]) end
        redis.call('PEXPIRE', KEYS[1], belief + 1000)
        return 1
        """;

    public async ValueTask<bool> TryTakeAsync(string tenantId, string holder, int limit)
    {
        // The own count is part of the shared one: where it is at the limit nobody needs to be asked.
        if (!local.Add(tenantId, holder, limit)) return false;
        string? answer = redis.IsUp ? await redis.TryAsync(async db => await AddAsync(db, tenantId, limit, [holder]) == 1 ? "taken" : "full") : null;
        if (answer != "full") return true;
        local.Release(tenantId, holder);
        return false;
    }

    public void Take(string tenantId, string holder)
    {
        local.Take(tenantId, holder);
        if (redis.IsUp) redis.Tell(db => AddAsync(db, tenantId, 0, [holder]));
    }

    public void Release(string tenantId, string holder)
    {
        local.Release(tenantId, holder);
        if (redis.IsUp) redis.Tell(db => db.SortedSetRemoveAsync(Key(tenantId), holder));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // What was taken while Redis was gone counts from its return on.
        redis.Returned += Renew;
        try
        {
            using var timer = new PeriodicTimer(_belief / 3, time);
            while (await timer.WaitForNextTickAsync(stoppingToken)) Renew();
        }
        finally
        {
            redis.Returned -= Renew;
        }
    }

    private void Renew()
    {
        if (!redis.IsUp) return;
        foreach ((string tenantId, string[] holders) in local.Held)
            foreach (string[] chunk in holders.Chunk(Chunk))
                redis.Tell(db => RenewAsync(db, tenantId, chunk));
    }

    private async Task RenewAsync(IDatabase database, string tenantId, string[] holders)
    {
        await AddAsync(database, tenantId, 0, holders);
        // One that was given back meanwhile must not come back to life.
        RedisValue[] ended = [.. holders.Where(h => !local.Holds(tenantId, h)).Select(h => (RedisValue)h)];
        if (ended.Length > 0) await database.SortedSetRemoveAsync(Key(tenantId), ended);
    }

    private async Task<long> AddAsync(IDatabase database, string tenantId, int limit, string[] holders) =>
        (long)await database.ScriptEvaluateAsync(Script, [Key(tenantId)], [(long)_belief.TotalMilliseconds, limit, .. holders.Select(h => (RedisValue)h)]);

    private RedisKey Key(string tenantId) => redis.Key("slots", tenantId);
}
