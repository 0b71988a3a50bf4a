using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Limits;
using Xunit;

namespace MultiAgent.Hosting.Tests.Limits;

public sealed class RateLimiterTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Take_WithDefaults_UsesTheDeployments()
    {
        RateLimiter limiter = Limiter(perMinute: 60, burst: 2);
        Assert.Equal((true, 60, "60", 1L), Shape(limiter.Take(Of("a"))));
        Assert.Equal((true, 60, "60", 0L), Shape(limiter.Take(Of("a"))));
        RateLimitDecision refused = limiter.Take(Of("a"));
        Assert.False(refused.Allowed);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.RetryAfter);
        Assert.Equal(TimeSpan.FromSeconds(2), refused.ResetAfter);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(limiter.Take(Of("a")).Allowed);
        Assert.False(limiter.Take(Of("a")).Allowed);
    }

    [Fact]
    public void Take_Sustained_KeepsToTheRate()
    {
        RateLimiter limiter = Limiter(perMinute: 120, burst: 5);
        int allowed = 0;
        for (int i = 0; i < 6000; i++)
        {
            if (limiter.Take(Of("a")).Allowed) allowed++;
            _time.Advance(TimeSpan.FromMilliseconds(10));
        }
        Assert.Equal(5 + 119, allowed);
    }

    [Fact]
    public void Take_OfOneTenant_LeavesOthersAlone()
    {
        RateLimiter limiter = Limiter(perMinute: 60, burst: 1);
        Assert.True(limiter.Take(Of("a")).Allowed);
        Assert.False(limiter.Take(Of("a", "key_2")).Allowed);
        Assert.True(limiter.Take(Of("b")).Allowed);
    }

    [Fact]
    public void Take_TenantLimits_OverrideTheDefaults()
    {
        RateLimiter limiter = Limiter(perMinute: 60, burst: 1);
        Caller caller = Of("a", limits: new TenantLimits { RequestsPerMinute = 600, Burst = 3 });
        Assert.Equal((true, 600, "600", 2L), Shape(limiter.Take(caller)));
    }

    [Fact]
    public void Take_KeyOverItsLimit_DoesNotEatTheTenants()
    {
        RateLimiter limiter = Limiter(perMinute: 60, burst: 3);
        Caller key = Of("a", "key_1", new KeyLimits { RequestsPerMinute = 6, Burst = 1 });
        Assert.Equal((true, 6, "6", 0L), Shape(limiter.Take(key)));
        for (int i = 0; i < 10; i++)
        {
            RateLimitDecision refused = limiter.Take(key);
            Assert.Equal((false, 6, "6", 0L), Shape(refused));
            Assert.Equal(TimeSpan.FromSeconds(10), refused.RetryAfter);
        }
        Assert.True(limiter.Take(Of("a", "key_2")).Allowed);
        Assert.True(limiter.Take(Of("a", "key_2")).Allowed);
        Assert.False(limiter.Take(Of("a", "key_2")).Allowed);
    }

    [Fact]
    public void Take_GenerousKey_ReportsTheTenants()
    {
        RateLimiter limiter = Limiter(perMinute: 60, burst: 2);
        Assert.Equal((true, 60, "60", 1L), Shape(limiter.Take(Of("a", "key_1", new KeyLimits { RequestsPerMinute = 6000, Burst = 100 }))));
    }

    [Fact]
    public void AddressLimiter_CountsNetworksAndRefills()
    {
        var limiter = new AddressLimiter(60, 2, _time);
        System.Net.IPAddress one = System.Net.IPAddress.Parse("2001:db8:1:2::1"), neighbour = System.Net.IPAddress.Parse("2001:db8:1:2:ffff::9"), other = System.Net.IPAddress.Parse("2001:db8:1:3::1");
        Assert.True(limiter.TryTake(one, out _));
        Assert.True(limiter.TryTake(neighbour, out _));
        Assert.False(limiter.TryTake(one, out TimeSpan retry));
        Assert.Equal(TimeSpan.FromSeconds(1), retry);
        Assert.True(limiter.TryTake(other, out _));
        Assert.True(limiter.TryTake(System.Net.IPAddress.Parse("10.0.0.1"), out _));
        Assert.True(limiter.TryTake(System.Net.IPAddress.Parse("::ffff:10.0.0.1"), out _));
        Assert.False(limiter.TryTake(System.Net.IPAddress.Parse("10.0.0.1"), out _));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(limiter.TryTake(one, out _));
    }

    [Fact]
    public void AddressLimiter_UnderAFlood_KeepsItsMemory()
    {
        var limiter = new AddressLimiter(1, 1, _time);
        for (int i = 0; i < AddressLimiter.MaxAddresses + 10_000; i++) limiter.TryTake(new System.Net.IPAddress([10, (byte)(i >> 16), (byte)(i >> 8), (byte)i]), out _);
        Assert.Equal(AddressLimiter.MaxAddresses, limiter.Count);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.True(limiter.TryTake(System.Net.IPAddress.Parse("192.0.2.1"), out _));
        Assert.Equal(1, limiter.Count);
    }

    private RateLimiter Limiter(int perMinute, int burst) => new(Options.Create(new LimitsOptions { RequestsPerMinute = perMinute, Burst = burst }), _time);

    private static (bool, int, string, long) Shape(RateLimitDecision d) => (d.Allowed, d.Limit, d.LimitText, d.Remaining);

    private static Caller Of(string tenant, string key = "key_1", KeyLimits? keyLimits = null, TenantLimits? limits = null) =>
        new() { TenantId = tenant, TenantSlug = tenant, ApiKeyId = key, Scopes = Scopes.All, KeyLimits = keyLimits, Limits = limits };
}
