using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Redis;

public sealed class RedisConcurrencyLimiterTests(RedisFixture fixture) : IClassFixture<RedisFixture>
{
    [Fact]
    public async Task TryTake_OfTwoReplicasAtOnce_GivesTheLimitAndNoMore()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica a = await Replica.StartAsync(fixture.Url), b = await Replica.StartAsync(fixture.Url);
        bool[] taken = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => Task.Run(async () => await (i % 2 == 0 ? a : b).Slots.TryTakeAsync("t", $"run_{i}", 7))));
        Assert.Equal(7, taken.Count(t => t));
        int held = Array.IndexOf(taken, true);
        (held % 2 == 0 ? a : b).Slots.Release("t", $"run_{held}");
        await Eventually.TrueAsync(async () => await b.Slots.TryTakeAsync("t", "another", 7), "the slot is free");
        Assert.False(await a.Slots.TryTakeAsync("t", "one too many", 7));
        Assert.True(await a.Slots.TryTakeAsync("other tenant", "run", 1));
    }

    [Fact]
    public async Task Take_OfWhatWasAccepted_IsNeverRefused_ButCounts()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using Replica a = await Replica.StartAsync(fixture.Url), b = await Replica.StartAsync(fixture.Url);
        for (int i = 0; i < 3; i++) a.Slots.Take("resumed", $"run_{i}");
        await Eventually.TrueAsync(async () =>
        {
            if (!await b.Slots.TryTakeAsync("resumed", "next", 3)) return true;
            b.Slots.Release("resumed", "next");
            return false;
        }, "the other replica counts them");
    }

    [Fact]
    public async Task DeadReplica_ItsSlotsComeFree_AndThoseOfALiveOneDoNot()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        Replica dead = await Replica.StartAsync(fixture.Url);
        await using Replica live = await Replica.StartAsync(fixture.Url), asking = await Replica.StartAsync(fixture.Url);
        Assert.True(await dead.Slots.TryTakeAsync("d", "run_dead", 2));
        Assert.True(await live.Slots.TryTakeAsync("d", "run_live", 2));
        Assert.False(await asking.Slots.TryTakeAsync("d", "run_new", 2));
        await dead.DisposeAsync();
        await Eventually.TrueAsync(async () => await asking.Slots.TryTakeAsync("d", "run_new", 2), "the dead one's slot is free");
        Assert.False(await asking.Slots.TryTakeAsync("d", "run_third", 2));
    }

    [Fact]
    public async Task RedisKilledAndEmpty_CountsAgainWhatWasTakenMeanwhile()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica a = await Replica.StartAsync(server.Url), b = await Replica.StartAsync(server.Url);
        Assert.True(await a.Slots.TryTakeAsync("t", "before", 2));
        await server.KillAsync();
        await Eventually.TrueAsync(() => !a.Redis.IsUp && !b.Redis.IsUp, "the loss is noticed");
        Assert.True(await a.Slots.TryTakeAsync("t", "meanwhile", 2));
        Assert.False(await a.Slots.TryTakeAsync("t", "over its own limit", 2));
        await server.RunAsync();
        await server.CommandAsync("FLUSHALL");
        await a.ConnectedAsync();
        await b.ConnectedAsync();
        await Eventually.TrueAsync(async () =>
        {
            if (!await b.Slots.TryTakeAsync("t", "probe", 2)) return true;
            b.Slots.Release("t", "probe");
            return false;
        }, "both holders count again");
    }
}
