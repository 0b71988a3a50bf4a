using MultiAgent.Hosting.Limits;
using Xunit;

namespace MultiAgent.Hosting.Tests.Limits;

public sealed class TokenBucketTests
{
    private static readonly long Interval = TimeSpan.FromMilliseconds(100).Ticks;

    [Fact]
    public void Take_FromAFullBucket_GivesTheBurstAndThenRefuses()
    {
        var bucket = new TokenBucket();
        for (int i = 4; i >= 0; i--)
        {
            Assert.True(bucket.TryTake(0, Interval, 5, out long remaining, out long reset, out _));
            Assert.Equal((i, (5 - i) * Interval), (remaining, reset));
        }
        Assert.False(bucket.TryTake(0, Interval, 5, out long none, out long full, out long retry));
        Assert.Equal((0, 5 * Interval, Interval), (none, full, retry));
        Assert.False(bucket.TryTake(Interval - 1, Interval, 5, out _, out _, out retry));
        Assert.Equal(1, retry);
        Assert.True(bucket.TryTake(Interval, Interval, 5, out _, out _, out _));
        Assert.False(bucket.TryTake(Interval, Interval, 5, out _, out _, out _));
    }

    [Fact]
    public void Take_OverAMinute_GivesTheBurstAndTheRate()
    {
        var bucket = new TokenBucket();
        int taken = 0;
        for (long now = 0; now < TimeSpan.TicksPerMinute; now += TimeSpan.TicksPerMillisecond)
            if (bucket.TryTake(now, Interval, 10, out _, out _, out _)) taken++;
        Assert.Equal(10 + 599, taken);
    }

    [Fact]
    public void Take_AfterALongPause_GivesNoMoreThanTheBurst()
    {
        var bucket = new TokenBucket();
        bucket.TryTake(0, Interval, 3, out _, out _, out _);
        int taken = Enumerable.Range(0, 10).Count(_ => bucket.TryTake(TimeSpan.FromDays(1).Ticks, Interval, 3, out long _, out long _, out long _));
        Assert.Equal(3, taken);
    }

    [Fact]
    public void GiveBack_MakesTheTokenUsableAgain()
    {
        var bucket = new TokenBucket();
        Assert.True(bucket.TryTake(0, Interval, 1, out _, out _, out _));
        Assert.False(bucket.TryTake(0, Interval, 1, out _, out _, out _));
        bucket.GiveBack(Interval);
        Assert.True(bucket.TryTake(0, Interval, 1, out _, out _, out _));
    }

    [Fact]
    public async Task Take_FromManyThreads_GivesExactlyTheBurst()
    {
        var bucket = new TokenBucket();
        int[] taken = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
            Enumerable.Range(0, 1000).Count(_ => bucket.TryTake(0, Interval, 500, out long _, out long _, out long _)))));
        Assert.Equal(500, taken.Sum());
    }
}
