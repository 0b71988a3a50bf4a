namespace MultiAgent.Hosting.Limits;

/// <summary>
/// A token bucket without lock or timer: the generic cell rate algorithm (ITU-T I.371), whose whole state is the
/// theoretical arrival time of the next conforming request. Taking a token is one compare-and-swap.
/// </summary>
internal sealed class TokenBucket
{
    private long _arrival;

    /// <summary>When the bucket was last used, in the clock's ticks.</summary>
    public long LastArrival => Volatile.Read(ref _arrival);

    /// <summary>Takes one token at time <paramref name="now"/> (ticks of 100 ns, any origin).</summary>
    /// <param name="now">The current time.</param>
    /// <param name="interval">Ticks between two tokens.</param>
    /// <param name="burst">Tokens that a full bucket holds.</param>
    /// <param name="remaining">Tokens left afterwards.</param>
    /// <param name="resetTicks">Ticks until the bucket is full again.</param>
    /// <param name="retryTicks">When refused: ticks until a token is there.</param>
    public bool TryTake(long now, long interval, int burst, out long remaining, out long resetTicks, out long retryTicks)
    {
        long window = interval * burst;
        while (true)
        {
            long seen = Volatile.Read(ref _arrival);
            long next = Math.Max(seen, now) + interval;
            if (next - now > window)
            {
                remaining = 0;
                resetTicks = seen - now;
                retryTicks = next - now - window;
                return false;
            }
            if (Interlocked.CompareExchange(ref _arrival, next, seen) != seen) continue;
            remaining = (window - (next - now)) / interval;
            resetTicks = next - now;
            retryTicks = 0;
            return true;
        }
    }

    /// <summary>Gives one token back: the request was refused by a later check.</summary>
    public void GiveBack(long interval) => Interlocked.Add(ref _arrival, -interval);
}
