using MultiAgent.Contracts.Identity;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Redis;

/// <summary>TLS, a cluster, and a failover by Sentinel, by the address alone.</summary>
public sealed class RedisTopologyTests
{
    [Fact]
    public async Task Tls_WithCertificatesOfTheOperators_SharesLimits()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        using var certificates = new TestCertificates();
        await using RedisServer server = await RedisServer.StartTlsAsync(certificates);
        string url = server.Url.Replace("redis://", "rediss://", StringComparison.Ordinal).Replace("127.0.0.1", "localhost", StringComparison.Ordinal);
        var settings = new Dictionary<string, string?> { ["Redis:CaFile"] = certificates.CaFile, ["Redis:CertificateFile"] = certificates.CertificateFile, ["Redis:KeyFile"] = certificates.KeyFile };
        await using Replica a = await Replica.StartAsync(url, settings), b = await Replica.StartAsync(url, settings);
        await ShareAsync(a, b);

        using var strangers = new TestCertificates();
        await using Replica other = await Replica.StartAsync(url, new() { ["Redis:CaFile"] = strangers.CaFile, ["Redis:CertificateFile"] = certificates.CertificateFile, ["Redis:KeyFile"] = certificates.KeyFile }, connected: false);
        await Eventually.TrueAsync(() => other.Redis.Trouble is "no connection", "a server of another authority is refused");
        Assert.False(other.Redis.IsUp);
    }

    [Fact]
    public async Task Cluster_FoundByOneNode_SharesLimits()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        IReadOnlyList<RedisServer> nodes = await RedisServer.StartClusterAsync();
        try
        {
            await using Replica a = await Replica.StartAsync(nodes[0].Url), b = await Replica.StartAsync(nodes[1].Url);
            for (int i = 0; i < 12; i++) await ShareAsync(a, b, $"cluster-{i}");
        }
        finally
        {
            foreach (RedisServer node in nodes) await node.DisposeAsync();
        }
    }

    [Fact]
    public async Task Sentinel_MasterKilled_GoesOnWithTheReplica()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        IReadOnlyList<RedisServer> servers = await RedisServer.StartSentinelAsync();
        try
        {
            string url = servers[2].Url.Replace("redis://", "redis+sentinel://", StringComparison.Ordinal) + "/main";
            await using Replica a = await Replica.StartAsync(url), b = await Replica.StartAsync(url);
            await ShareAsync(a, b, "before");
            await servers[0].KillAsync();
            await Eventually.TrueAsync(() => !a.Redis.IsUp && !b.Redis.IsUp, "the loss is noticed");
            await a.ConnectedAsync();
            await b.ConnectedAsync();
            await ShareAsync(a, b, "after");
        }
        finally
        {
            foreach (RedisServer server in servers) await server.DisposeAsync();
        }
    }

    private static async Task ShareAsync(Replica a, Replica b, string tenant = "shared")
    {
        Caller caller = Replica.CallerOf(tenant, limits: new TenantLimits { RequestsPerMinute = 1, Burst = 20 });
        int allowed = 0;
        while ((await a.Rates.TakeAsync(caller)).Allowed && allowed < 10) allowed++;
        while ((await b.Rates.TakeAsync(caller)).Allowed) allowed++;
        while ((await a.Rates.TakeAsync(caller)).Allowed) allowed++;
        Assert.InRange(allowed, 19, 20);
    }
}
