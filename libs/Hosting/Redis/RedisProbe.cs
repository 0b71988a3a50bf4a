using MultiAgent.Hosting.Health;

namespace MultiAgent.Hosting.Redis;

/// <summary>Redis in <c>/health</c>. Without it the instance stays ready, and goes by its own limits.</summary>
internal sealed class RedisProbe(RedisConnection redis) : IHealthProbe
{
    public string Service => "platform";

    public string Name => "redis";

    public ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken) => new(redis.IsUp
        ? ProbeResult.Ok() with { Latency = redis.Latency }
        : ProbeResult.Degraded($"{redis.Trouble}: limits count per process until Redis is back"));
}
