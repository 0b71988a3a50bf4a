using Microsoft.Extensions.Time.Testing;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Tests.Runs;

[Trait("Database", "once")]
public sealed class LongCancellationTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(49.9)]
    [InlineData(366)]
    public void After_AnyTime_CancelsThen(double days)
    {
        var time = new FakeTimeProvider();
        using CancellationTokenSource source = LongCancellation.After(TimeSpan.FromDays(days), time);
        // By days: the fake clock calls timers only once it has come to its new time.
        for (int day = 0; day < (int)days; day++) time.Advance(TimeSpan.FromDays(1) - (day == 0 ? TimeSpan.FromSeconds(1) : TimeSpan.Zero));
        time.Advance(TimeSpan.FromDays(days - (int)days));
        bool before = source.IsCancellationRequested;
        time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal((false, true), (before, source.IsCancellationRequested));
    }

    [Fact]
    public void After_NoTime_NeverCancels()
    {
        var time = new FakeTimeProvider();
        using CancellationTokenSource source = LongCancellation.After(Timeout.InfiniteTimeSpan, time);
        time.Advance(TimeSpan.FromDays(1000));

        Assert.False(source.IsCancellationRequested);
    }
}
