using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Identity;
using Xunit;

namespace MultiAgent.Hosting.Tests.Identity;

public sealed class CallerChangeFeedTests
{
    private static readonly CallerChanged Change = new("ten_a", "key_a", null);

    [Fact]
    public void Raise_WithSubscribers_TellsEachBeforeItReturns()
    {
        var feed = new LocalCallerChangeFeed();
        var first = new List<CallerChanged>();
        var second = new List<CallerChanged>();
        using IDisposable one = feed.Subscribe(first.Add, () => { });
        using IDisposable two = feed.Subscribe(second.Add, () => { });

        feed.Raise(Change);

        Assert.Equal([Change], first);
        Assert.Equal([Change], second);
        Assert.False(feed.HearsOthers);
    }

    [Fact]
    public void Dispose_OfASubscription_EndsThatOneAlone()
    {
        var subscribers = new CallerChangeSubscribers();
        int ended = 0, staying = 0, missed = 0;
        IDisposable subscription = subscribers.Add(_ => ended++, () => ended++);
        subscribers.Add(_ => staying++, () => missed++);

        subscription.Dispose();
        subscribers.Tell(Change);
        subscribers.TellMissed();

        Assert.Equal((0, 1, 1), (ended, staying, missed));
    }
}
