using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Redis;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Redis;

public sealed class RedisCallerFeedTests
{
    [Fact]
    public async Task Raise_IsHeardHereAtOnce_AndInOtherProcesses_Once()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica a = await Replica.StartAsync(server.Url), b = await Replica.StartAsync(server.Url);
        using var here = new Listener(a);
        using var there = new Listener(b);
        await here.ReadyAsync();
        await there.ReadyAsync();
        int missed = there.Missed;
        for (int i = 0; i < 50; i++)
        {
            here.Feed.Raise(new CallerChanged("ten_1", $"key_{i}", null));
            Assert.Equal(i + 1, here.Changes.Count);
        }
        await Eventually.TrueAsync(() => there.Changes.Count >= 50, "all changes arrive");
        await Eventually.TrueAsync(() => there.Number == 50 && here.Number == 50, "both know the number of changes");
        Assert.Equal(Enumerable.Range(0, 50).Select(i => $"key_{i}"), there.Changes.Select(c => c.ApiKeyId));
        Assert.Equal(50, here.Changes.Count);
        Assert.Equal(missed, there.Missed);
    }

    [Fact]
    public async Task CutOff_ItSaysSo_AndOnReturnForgetsEverybody()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica a = await Replica.StartAsync(server.Url), b = await Replica.StartAsync(server.Url);
        using var here = new Listener(a);
        using var there = new Listener(b);
        await here.ReadyAsync();
        await there.ReadyAsync();
        await server.KillAsync();
        await Eventually.TrueAsync(() => !here.Feed.HearsOthers && !there.Feed.HearsOthers, "they know that they hear nothing");
        Assert.Null(there.Number);
        int missed = there.Missed;
        here.Feed.Raise(new CallerChanged("ten_1", null, null));
        Assert.Single(here.Changes);
        Assert.Empty(there.Changes);
        await server.RunAsync();
        await Eventually.TrueAsync(() => there.Missed > missed && there.Feed.HearsOthers, "the other forgets everybody");
        // The change that could not be sent counts, so that nothing found before it is believed.
        await Eventually.TrueAsync(() => there.Number >= 1, "the change is counted");
    }

    [Fact]
    public async Task ChangeThatWasNotHeard_IsNoticedByItsNumber()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica replica = await Replica.StartAsync(server.Url);
        using var listener = new Listener(replica);
        await listener.ReadyAsync();
        int missed = listener.Missed;
        // As if a message had been lost between two others.
        await server.CommandAsync("INCR", "maap:callers:{changes}");
        await Eventually.TrueAsync(() => listener.Missed == missed + 1, "the gap is noticed");
        await Eventually.TrueAsync(() => listener.Number == 1, "and counted");
    }

    [Fact]
    public async Task Store_OfAnotherProcess_IsFound_AndNotAfterAnyChange()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using Replica a = await Replica.StartAsync(server.Url), b = await Replica.StartAsync(server.Url);
        using var here = new Listener(a);
        using var there = new Listener(b);
        await here.ReadyAsync();
        await there.ReadyAsync();
        ICallerStore first = a.Services.GetRequiredService<ICallerStore>(), second = b.Services.GetRequiredService<ICallerStore>();
        Caller known = Replica.CallerOf("ten_1", "key_1");
        int loads = 0;
        Task<Caller?> LoadAsync(CancellationToken _)
        {
            Interlocked.Increment(ref loads);
            return Task.FromResult<Caller?>(known);
        }
        Assert.Equivalent(known, await first.GetOrLoadAsync("key:h", LoadAsync, default));
        Assert.Equivalent(known, await second.GetOrLoadAsync("key:h", LoadAsync, default));
        Assert.Equal(1, loads);
        Assert.Null(await second.GetOrLoadAsync("key:unknown", _ => Task.FromResult<Caller?>(null), default));
        Assert.Equivalent(known, await first.GetOrLoadAsync("key:unknown", LoadAsync, default));
        Assert.Equal(2, loads);

        here.Feed.Raise(new CallerChanged("ten_1", "key_1", null));
        await Eventually.TrueAsync(() => there.Changes.Count == 1, "the change arrives");
        await second.GetOrLoadAsync("key:h", LoadAsync, default);
        Assert.Equal(3, loads);

        // In the process of the change itself from the very moment on, though Redis has not heard of it yet.
        await first.GetOrLoadAsync("key:h", LoadAsync, default);
        int before = loads;
        here.Feed.Raise(new CallerChanged("ten_1", "key_1", null));
        await first.GetOrLoadAsync("key:h", LoadAsync, default);
        Assert.Equal(before + 1, loads);
        loads = 3;

        await server.KillAsync();
        Assert.Equivalent(known, await second.GetOrLoadAsync("key:h", LoadAsync, default));
        Assert.Equal(4, loads);
    }

    [Fact]
    public async Task Teller_ThatLosesRedisAlone_IsMissedByTheOthersWithinASecond()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        int port = FreePort.Next();
        await using var proxy = new FaultProxy(port, server.Port);
        await using Replica a = await Replica.StartAsync(server.Url.Replace($":{server.Port}", $":{port}", StringComparison.Ordinal)), b = await Replica.StartAsync(server.Url);
        using var here = new Listener(a);
        using var there = new Listener(b);
        await here.ReadyAsync();
        await there.ReadyAsync();
        here.Feed.BeginTelling();
        // From the second beacon on it is surely known for one that tells.
        using var two = new CancellationTokenSource(TimeSpan.FromMilliseconds(600));
        await Eventually.TrueAsync(() => two.IsCancellationRequested && there.Feed.HearsTellers, "beacons were heard");

        proxy.Fault = Fault.Refused;
        long cut = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => !there.Feed.HearsTellers, "the teller is missed");
        // A second is the promise; a loaded machine may be late, but not by the time that a dead connection takes to be noticed.
        Assert.True(Stopwatch.GetElapsedTime(cut) < TimeSpan.FromSeconds(8), $"It was missed only after {Stopwatch.GetElapsedTime(cut)}.");
        Assert.True(there.Feed.HearsOthers);
        int missed = there.Missed;
        here.Feed.Raise(new CallerChanged("ten_1", "key_1", null));

        proxy.Fault = Fault.None;
        await Eventually.TrueAsync(() => there.Feed.HearsTellers && there.Missed > missed, "it is heard again, and the others forget everybody");
    }

    private sealed class Listener : IDisposable
    {
        private readonly IDisposable _subscription;
        private readonly RedisCallerFeed _feed;

        public Listener(Replica replica)
        {
            _feed = replica.Services.GetRequiredService<RedisCallerFeed>();
            _subscription = Feed.Subscribe(Changes.Enqueue, () => Interlocked.Increment(ref Missed));
        }

        public ICallerChangeFeed Feed => _feed;

        public long? Number => _feed.Number;

        public ConcurrentQueue<CallerChanged> Changes { get; } = [];

        public int Missed;

        public Task ReadyAsync() => Eventually.TrueAsync(() => Feed.HearsOthers, "the feed is heard");

        public void Dispose() => _subscription.Dispose();
    }
}
