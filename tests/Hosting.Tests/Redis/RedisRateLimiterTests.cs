using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Limits;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Redis;

public sealed partial class RedisRateLimiterTests(RedisFixture fixture) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task Take_OfThreeReplicasAtOnce_GivesTheLimitAndNoMore()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica a = await Replica.StartAsync(fixture.Url), b = await Replica.StartAsync(fixture.Url), c = await Replica.StartAsync(fixture.Url);
        Caller caller = Replica.CallerOf("exact", limits: new TenantLimits { RequestsPerMinute = 60, Burst = 500 });
        long started = Stopwatch.GetTimestamp();
        int[] allowed = await Task.WhenAll(((Replica[])[a, b, c]).SelectMany(r => Enumerable.Range(0, 40).Select(_ => UntilDeniedAsync(r, caller))));
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        // The full bucket, and one more for each second that it took.
        Assert.InRange(allowed.Sum(), 500, 500 + (int)Math.Ceiling(seconds));
    }

    [Fact]
    public async Task Take_OfManyAtTheStart_TurnsNobodyAwayBeforeTheLimit()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica replica = await Replica.StartAsync(fixture.Url);
        Caller caller = Replica.CallerOf("rush", limits: new TenantLimits { RequestsPerMinute = 60, Burst = 300 });
        RateLimitDecision[] decisions = await Task.WhenAll(Enumerable.Range(0, 300).Select(_ => Task.Run(async () => await replica.Rates.TakeAsync(caller))));
        Assert.All(decisions, d => Assert.True(d.Allowed));
    }

    [Fact]
    public async Task Take_InTheSteadyState_AsksRedisRarely()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica replica = await Replica.StartAsync(server.Url);
        Caller caller = Replica.CallerOf("busy", "key_1", new KeyLimits { RequestsPerMinute = 6_000_000, Burst = 1_000_000 }, new TenantLimits { RequestsPerMinute = 6_000_000, Burst = 1_000_000 });
        for (int i = 0; i < 20_000; i++) Assert.True((await replica.Rates.TakeAsync(caller)).Allowed);
        int calls = Calls().Matches(await server.CommandAsync("INFO", "commandstats")).Sum(m => int.Parse(m.Groups[1].Value, CultureInfo.InvariantCulture));
        Assert.InRange(calls, 2, 1000);
    }

    [Fact]
    public async Task Take_TellsWhatIsLeftAndWhenToTryAgain()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica replica = await Replica.StartAsync(fixture.Url);
        Caller caller = Replica.CallerOf("told", limits: new TenantLimits { RequestsPerMinute = 60, Burst = 2 });
        RateLimitDecision first = await replica.Rates.TakeAsync(caller), second = await replica.Rates.TakeAsync(caller), third = await replica.Rates.TakeAsync(caller);
        Assert.Equal((true, 60, "60", 1L), (first.Allowed, first.Limit, first.LimitText, first.Remaining));
        Assert.Equal((true, 0L), (second.Allowed, second.Remaining));
        Assert.Equal((false, 0L), (third.Allowed, third.Remaining));
        Assert.InRange(third.RetryAfter.TotalSeconds, 0.3, 1);
        Assert.InRange(third.ResetAfter.TotalSeconds, 1.3, 2);
    }

    [Fact]
    public async Task Take_KeyOverItsLimit_DoesNotEatTheTenants()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica replica = await Replica.StartAsync(fixture.Url);
        var limits = new TenantLimits { RequestsPerMinute = 60, Burst = 3 };
        Caller key = Replica.CallerOf("keyed", "keyed_1", new KeyLimits { RequestsPerMinute = 6, Burst = 1 }, limits);
        Assert.True((await replica.Rates.TakeAsync(key)).Allowed);
        for (int i = 0; i < 10; i++)
        {
            RateLimitDecision refused = await replica.Rates.TakeAsync(key);
            Assert.Equal((false, 6), (refused.Allowed, refused.Limit));
        }
        Caller other = Replica.CallerOf("keyed", "keyed_2", null, limits);
        Assert.True((await replica.Rates.TakeAsync(other)).Allowed);
        Assert.True((await replica.Rates.TakeAsync(other)).Allowed);
        Assert.False((await replica.Rates.TakeAsync(other)).Allowed);
    }

    [Fact]
    public async Task Lease_NotUsedInTime_GoesBackToTheOthers()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica a = await Replica.StartAsync(fixture.Url), b = await Replica.StartAsync(fixture.Url);
        Caller caller = Replica.CallerOf("returned", limits: new TenantLimits { RequestsPerMinute = 1, Burst = 1000 });
        // So many in a row that the last lease is not used up.
        int taken = 0;
        while (taken < 400) taken += (await a.Rates.TakeAsync(caller)).Allowed ? 1 : 0;
        await Eventually.TrueAsync(async () =>
        {
            while ((await b.Rates.TakeAsync(caller)).Allowed) taken++;
            return taken >= 1000;
        }, "every token is given out");
        Assert.InRange(taken, 1000, 1001);
    }

    [Fact]
    public async Task RedisKilledAndBack_ServesByOwnLimitsMeanwhile_AndSharesAgain()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica a = await Replica.StartAsync(server.Url), b = await Replica.StartAsync(server.Url);
        Caller caller = Replica.CallerOf("gone", limits: new TenantLimits { RequestsPerMinute = 1, Burst = 50 });
        Assert.Equal(50, await UntilDeniedAsync(a, caller) + await UntilDeniedAsync(b, caller));
        await server.KillAsync();
        await Eventually.TrueAsync(() => !a.Redis.IsUp && !b.Redis.IsUp, "the loss is noticed");
        Assert.Equal("no connection", a.Redis.Trouble);
        // Each by itself now.
        Assert.Equal(50, await UntilDeniedAsync(a, caller));
        Assert.Equal(50, await UntilDeniedAsync(b, caller));
        await server.RunAsync();
        await a.ConnectedAsync();
        await b.ConnectedAsync();
        Caller fresh = Replica.CallerOf("back", limits: new TenantLimits { RequestsPerMinute = 1, Burst = 50 });
        Assert.Equal(50, await UntilDeniedAsync(a, fresh) + await UntilDeniedAsync(b, fresh));
    }

    [Fact]
    public async Task RedisThatHangs_CostsOneRequestItsPatience_AndIsTakenOutOfUse()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica replica = await Replica.StartAsync(server.Url, new() { ["Redis:PatienceMilliseconds"] = "1000" });
        server.Freeze(true);
        try
        {
            Assert.True((await replica.Rates.TakeAsync(Replica.CallerOf("slow"))).Allowed);
            Assert.False(replica.Redis.IsUp);
            Assert.Contains("no answer within", replica.Redis.Trouble, StringComparison.Ordinal);
            ValueTask<RateLimitDecision> next = replica.Rates.TakeAsync(Replica.CallerOf("slow"));
            Assert.True(next.IsCompleted);
            Assert.True((await next).Allowed);
        }
        finally
        {
            server.Freeze(false);
        }
        await replica.ConnectedAsync();
    }

    [Fact]
    public async Task WrongPassword_IsToldWithoutIt_AndRequestsAreServed()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica replica = await Replica.StartAsync(fixture.Url, new() { ["Redis:Password"] = "wrong-one" }, connected: false);
        await Eventually.TrueAsync(() => replica.Redis.Trouble == "Redis refuses the user or the password", "the refusal is told");
        Assert.True((await replica.Rates.TakeAsync(Replica.CallerOf("any"))).Allowed);
        Assert.False(replica.Redis.IsUp);
    }

    private static async Task<int> UntilDeniedAsync(Replica replica, Caller caller)
    {
        await Task.Yield();
        int allowed = 0;
        while ((await replica.Rates.TakeAsync(caller)).Allowed) allowed++;
        return allowed;
    }

    [GeneratedRegex(@"cmdstat_eval(?:sha)?:calls=(\d+)")]
    private static partial Regex Calls();
}

/// <summary>One Redis for the tests that do it no harm.</summary>
public sealed class RedisFixture : IAsyncLifetime
{
    private RedisServer? _server;

    public string Url => _server!.Url;

    public async ValueTask InitializeAsync()
    {
        if (RedisServer.Missing is null) _server = await RedisServer.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
    }
}
