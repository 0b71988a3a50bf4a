namespace MultiAgent.Orchestrator.Runs;

/// <summary>A cancellation after any time. Timers of the runtime end at 49 days; workflows may take a year.</summary>
internal sealed class LongCancellation : CancellationTokenSource
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(40);

    private readonly TimeSpan _after;
    private readonly TimeProvider _time;
    private readonly long _begun;
    private readonly ITimer _timer;

    private LongCancellation(TimeSpan after, TimeProvider time)
    {
        (_after, _time, _begun) = (after, time, time.GetTimestamp());
        _timer = time.CreateTimer(static state => ((LongCancellation)state!).Tick(), this, Longest, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A source that cancels after a time, or never when that is infinite.</summary>
    public static CancellationTokenSource After(TimeSpan time, TimeProvider provider) => time <= Longest ? new CancellationTokenSource(time, provider) : new LongCancellation(time, provider);

    protected override void Dispose(bool disposing)
    {
        if (disposing) _timer.Dispose();
        base.Dispose(disposing);
    }

    private void Tick()
    {
        TimeSpan left = _after - _time.GetElapsedTime(_begun);
        try
        {
            if (left <= TimeSpan.Zero) Cancel();
            else _timer.Change(left < Longest ? left : Longest, Timeout.InfiniteTimeSpan);
        }
        catch (ObjectDisposedException)
        {
            // What it was for has ended.
        }
    }
}
