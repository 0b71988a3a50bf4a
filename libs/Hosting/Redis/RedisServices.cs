using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Caching.StackExchangeRedis;
using MultiAgent.Hosting.Health;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Limits;
using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>Registration of what replicas share.</summary>
internal static class RedisServices
{
    /// <summary>Adds limits of all replicas together where a Redis is configured, and of this process by itself otherwise.</summary>
    public static void AddSharedState(this IHostApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        services.TryAddSingleton<RateLimiter>();
        services.TryAddSingleton<ConcurrencyLimiter>();
        string? url = builder.Configuration["REDIS_URL"] is { Length: > 0 } given ? given : builder.Configuration["Redis:Url"];
        if (string.IsNullOrWhiteSpace(url))
        {
            services.TryAddSingleton<IRateLimiter>(s => s.GetRequiredService<RateLimiter>());
            services.TryAddSingleton<IConcurrencyLimiter>(s => s.GetRequiredService<ConcurrencyLimiter>());
            services.TryAddSingleton<ICallerStore, NoCallerStore>();
            return;
        }
        services.AddOptions<RedisOptions>().BindConfiguration("Redis").Configure(o => o.Url = url).ValidateOnStart();
        services.AddSingleton<IValidateOptions<RedisOptions>, RedisValidator>();
        services.AddSingleton<RedisConnection>();
        services.AddHostedService(s => s.GetRequiredService<RedisConnection>());
        services.AddSingleton<IHealthProbe, RedisProbe>();
        services.AddSingleton<RedisRateLimiter>();
        services.TryAddSingleton<IRateLimiter>(s => s.GetRequiredService<RedisRateLimiter>());
        services.AddHostedService(s => s.GetRequiredService<RedisRateLimiter>());
        services.AddSingleton<RedisConcurrencyLimiter>();
        services.TryAddSingleton<IConcurrencyLimiter>(s => s.GetRequiredService<RedisConcurrencyLimiter>());
        services.AddHostedService(s => s.GetRequiredService<RedisConcurrencyLimiter>());
        services.AddSingleton<RedisCallerFeed>();
        services.TryAddSingleton<ICallerChangeFeed>(s => s.GetRequiredService<RedisCallerFeed>());
        services.AddHostedService(s => s.GetRequiredService<RedisCallerFeed>());
        AddCallerStore(services);
    }

    private static void AddCallerStore(IServiceCollection services)
    {
        services.AddStackExchangeRedisCache(_ => { });
        services.AddOptions<RedisCacheOptions>().Configure<RedisConnection, IOptions<RedisOptions>>((cache, redis, options) =>
        {
            cache.ConnectionMultiplexerFactory = () => Task.FromResult<IConnectionMultiplexer>(redis.Multiplexer);
            cache.InstanceName = $"{options.Value.Prefix}:";
        });
        services.AddHybridCache();
        services.TryAddSingleton<ICallerStore, RedisCallerStore>();
    }

    private sealed class RedisValidator : IValidateOptions<RedisOptions>
    {
        public ValidateOptionsResult Validate(string? name, RedisOptions options) =>
            options.Problem() is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;
    }
}
