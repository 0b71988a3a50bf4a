using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Redis;
using MultiAgent.Testing;

namespace MultiAgent.Hosting.Tests.Redis;

/// <summary>What one process of several has of the shared state, without the rest of the host.</summary>
internal sealed class Replica : IAsyncDisposable
{
    private readonly IHost _host;

    private Replica(IHost host) => _host = host;

    public IServiceProvider Services => _host.Services;

    public IRateLimiter Rates => Services.GetRequiredService<IRateLimiter>();

    public IConcurrencyLimiter Slots => Services.GetRequiredService<IConcurrencyLimiter>();

    public RedisConnection Redis => Services.GetRequiredService<RedisConnection>();

    /// <param name="url">Where Redis is.</param>
    /// <param name="settings">Further settings.</param>
    /// <param name="connected">Whether to wait until Redis is in use.</param>
    public static async Task<Replica> StartAsync(string url, Dictionary<string, string?>? settings = null, bool connected = true)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        // Long patience: a machine that is busy with other tests must not look like a Redis that hangs.
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["REDIS_URL"] = url, ["Limits:RequestsPerMinute"] = "60", ["Limits:Burst"] = "100", ["Redis:SlotSeconds"] = "5", ["Redis:PatienceMilliseconds"] = "4000" });
        if (settings is not null) builder.Configuration.AddInMemoryCollection(settings);
        builder.Services.AddLogging();
        builder.Services.AddSingleton(TimeProvider.System);
        builder.Services.AddOptions<LimitsOptions>().BindConfiguration("Limits");
        builder.AddSharedState();
        var replica = new Replica(builder.Build());
        await replica._host.StartAsync();
        if (connected) await replica.ConnectedAsync();
        return replica;
    }

    public Task ConnectedAsync() => Eventually.TrueAsync(() => Redis.IsUp, "Redis is in use");

    /// <summary>Ends without giving anything back, as a killed process does.</summary>
    public ValueTask DisposeAsync()
    {
        _host.Dispose();
        return default;
    }

    public static Caller CallerOf(string tenant, string? key = null, KeyLimits? keyLimits = null, TenantLimits? limits = null) =>
        new() { TenantId = tenant, TenantSlug = tenant, ApiKeyId = key, Scopes = Scopes.All, KeyLimits = keyLimits, Limits = limits };
}
