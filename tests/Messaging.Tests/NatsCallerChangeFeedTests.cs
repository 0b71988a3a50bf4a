using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Identity;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Messaging.Tests;

/// <summary>Changed callers between processes, over a real NATS server.</summary>
public sealed class NatsCallerChangeFeedTests : IAsyncLifetime
{
    private readonly List<TempFolder> _folders = [];
    private readonly List<IHost> _hosts = [];
    private NatsServer _nats = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        _nats = await NatsServer.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IHost host in _hosts)
        {
            await host.StopAsync();
            await ((IAsyncDisposable)host).DisposeAsync();
        }
        foreach (TempFolder folder in _folders) folder.Dispose();
        if (_nats is not null) await _nats.DisposeAsync();
    }

    [Fact]
    public async Task Raise_InOneProcess_IsHeardOnceInEach()
    {
        (ICallerChangeFeed here, Heard own) = await ProcessAsync();
        (_, Heard other) = await ProcessAsync();

        for (int i = 0; i < 50; i++) here.Raise(new CallerChanged("ten_a", $"key_{i}", null));
        Assert.Equal(50, own.Changes.Count);
        await Eventually.TrueAsync(() => other.Changes.Count >= 50, "the other process hears of them");

        // A last one shows that no echo is on its way.
        here.Raise(new CallerChanged("ten_a", null, "usr_last"));
        await Eventually.TrueAsync(() => other.Changes.Contains(new CallerChanged("ten_a", null, "usr_last")), "the last one arrives");
        Assert.Equal(own.Changes, other.Changes);
        Assert.Equal(51, own.Changes.Count);
    }

    [Fact]
    public async Task Server_ThatGoesAndComesBack_IsNoticedAndMeansThatChangesWereMissed()
    {
        (ICallerChangeFeed here, _) = await ProcessAsync();
        (ICallerChangeFeed there, Heard other) = await ProcessAsync();
        int missed = other.Missed;

        await _nats.KillAsync();
        await Eventually.TrueAsync(() => !here.HearsOthers && !there.HearsOthers, "both know that they hear nothing");
        here.Raise(new CallerChanged("ten_a", "key_while_away", null));
        await _nats.RunAsync();

        await Eventually.TrueAsync(() => here.HearsOthers && there.HearsOthers, "both hear again");
        Assert.True(other.Missed > missed, "Nobody said that changes may have been missed.");
        // What was raised meanwhile may have come to the server before the other did: that is what "missed" is for.
        var next = new CallerChanged("ten_a", "key_next", null);
        here.Raise(next);
        await Eventually.TrueAsync(() => other.Changes.Contains(next), "the next change arrives");
    }

    [Fact]
    public async Task Raise_OfMoreThanCanWait_IsToldAsForgetAll()
    {
        (ICallerChangeFeed here, _) = await ProcessAsync();
        (ICallerChangeFeed there, Heard other) = await ProcessAsync();
        await _nats.KillAsync();
        await Eventually.TrueAsync(() => !here.HearsOthers, "the server is away");

        for (int i = 0; i < 1500; i++) here.Raise(new CallerChanged("ten_a", $"key_{i}", null));
        await _nats.RunAsync();
        await Eventually.TrueAsync(() => there.HearsOthers, "back again");
        int missed = other.Missed;
        here.Raise(new CallerChanged("ten_a", "key_last", null));

        // One for the gap is not enough: what did not fit must be told as well.
        await Eventually.TrueAsync(() => other.Missed > 1 && (other.Missed > missed || other.Changes.Count > 0), "the others were told to forget everybody");
    }

    [Fact]
    public async Task Teller_ThatLosesNatsAlone_IsMissedByTheOthersWithinASecond_AndWhatItToldMeanwhileIsNotLost()
    {
        int port = FreePort.Next();
        await using var proxy = new FaultProxy(port, _nats.Port);
        (ICallerChangeFeed teller, _) = await ProcessAsync(_nats.Url.Replace($":{_nats.Port}", $":{port}", StringComparison.Ordinal));
        (ICallerChangeFeed other, Heard heard) = await ProcessAsync();
        Assert.True(other.HearsTellers);
        teller.BeginTelling();
        var known = new CallerChanged("ten_a", "key_known", null);
        teller.Raise(known);
        await Eventually.TrueAsync(() => heard.Changes.Contains(known), "the teller is heard");
        // Its beacon as well, without which nobody would miss it.
        await BeaconsAsync(other);

        proxy.Fault = Fault.Silent;
        long cut = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(() => !other.HearsTellers, "the teller is missed");
        // A second is the promise; a loaded machine may be late, but not by the time that a dead connection takes to be noticed.
        Assert.True(Stopwatch.GetElapsedTime(cut) < TimeSpan.FromSeconds(8), $"It was missed only after {Stopwatch.GetElapsedTime(cut)}.");
        Assert.True(other.HearsOthers);
        int missed = heard.Missed;
        teller.Raise(new CallerChanged("ten_a", "key_while_cut_off", null));

        proxy.Fault = Fault.None;
        await Eventually.TrueAsync(() => other.HearsTellers, "the teller is heard again");
        await Eventually.TrueAsync(() => heard.Missed > missed || heard.Changes.Any(c => c.ApiKeyId == "key_while_cut_off"), "the change arrives, or that one was missed");
    }

    [Fact]
    public async Task Teller_ThatStops_SaysSo_AndIsNotMissed()
    {
        (ICallerChangeFeed first, _) = await ProcessAsync();
        (ICallerChangeFeed other, Heard heard) = await ProcessAsync();
        first.BeginTelling();
        first.Raise(new CallerChanged("ten_a", "key_1", null));
        await Eventually.TrueAsync(() => !heard.Changes.IsEmpty, "the teller is heard");
        await BeaconsAsync(other);

        IHost host = _hosts[0];
        _hosts.RemoveAt(0);
        await host.StopAsync();
        await ((IAsyncDisposable)host).DisposeAsync();
        // Longer than a silence lasts before it is noticed.
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(1.5));
        bool alwaysHeard = true;
        await Eventually.TrueAsync(() =>
        {
            alwaysHeard &= other.HearsTellers;
            return limit.IsCancellationRequested;
        }, "the time in which it would be missed is over");
        Assert.True(alwaysHeard, "One that has said goodbye is missed.");
    }

    // Two beacons' time: those who tell have been noted by then.
    private static async Task BeaconsAsync(ICallerChangeFeed listener)
    {
        using var two = new CancellationTokenSource(TimeSpan.FromMilliseconds(600));
        await Eventually.TrueAsync(() => two.IsCancellationRequested && listener.HearsTellers, "beacons were heard");
    }

    private async Task<(ICallerChangeFeed Feed, Heard Heard)> ProcessAsync(string? url = null)
    {
        var folder = new TempFolder();
        _folders.Add(folder);
        IHost host = MessagingHost.Build(folder.Path, new Dictionary<string, string?> { ["NATS_URL"] = url ?? _nats.Url });
        _hosts.Add(host);
        await host.StartAsync();
        var feed = host.Services.GetRequiredService<ICallerChangeFeed>();
        var heard = new Heard();
        feed.Subscribe(heard.Changes.Enqueue, () => Interlocked.Increment(ref heard.Missed));
        await Eventually.TrueAsync(() => feed.HearsOthers, "the feed is heard");
        return (feed, heard);
    }

    private sealed class Heard
    {
        public ConcurrentQueue<CallerChanged> Changes { get; } = new();

        public int Missed;
    }
}
