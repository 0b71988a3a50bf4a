using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// One token bucket that all replicas share, and this process's lease of some of its tokens. The bucket is the generic cell rate algorithm (ITU-T
/// I.371) in Redis, by the clock of Redis; a lease is taken from it before its tokens are used, so the replicas together never go over the limit. A busy
/// bucket leases more at a time, a bucket that is nearly empty one token at a time, and what lies unused for a second is given back.
/// </summary>
internal sealed class SharedBucket(RedisKey key)
{
    /// <summary>For so long a lease may be used: by so much may requests of one second run into the next.</summary>
    internal static readonly long LeaseTicks = TimeSpan.TicksPerSecond;

    private const int MaxLease = 1024;

    // Who asks and asks again is refused from memory, but not for long: another replica may give back what it did not need.
    private static readonly long DenialTicks = TimeSpan.TicksPerMillisecond * 200;
    private static readonly long BusyTicks = TimeSpan.TicksPerMillisecond * 100;

    // A limit that was lowered, or a clock of the server's that was set back, must not lock a tenant out for longer than a full bucket takes.
    private const string Script = """
        local clock = redis.call('TIME')
        local now = clock[1] * 1000000 + clock[2]
        local interval, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
        local window = interval * burst
        local arrival = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + window)
        local available = math.floor((window - (arrival - now)) / interval + 1e-6)
        local granted = wanted
        if wanted > 0 then granted = math.min(wanted, math.max(math.floor(available / 8), math.min(available, 1))) end
        if granted ~= 0 then
            arrival = math.max(now, arrival + granted * interval)
            redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1000)
        end
        local retry = 0
        if granted == 0 then retry = math.ceil(arrival + interval - now - window) end
        return { granted, available - granted, math.ceil(arrival - now), retry }
        """;

    private readonly object _lock = new();
    private Task<bool>? _refill;
    private int _tokens;
    private int _wanted = 1;
    private int _waiting;
    private long _leasedAt;
    private long _remaining;
    private long _fullAt;
    private long _deniedUntil;
    private long _retryAt;
    private long _interval;
    private int _burst;

    /// <summary>When it was last asked, in the caller's ticks.</summary>
    public long LastUsed { get; private set; }

    /// <summary>What a try to take a token from memory came to.</summary>
    public enum Take
    {
        Allowed,
        Denied,
        /// <summary>Redis must be asked first: <see cref="RefillAsync"/>, then try again.</summary>
        Empty,
    }

    /// <summary>Takes a token from the lease.</summary>
    /// <param name="now">Monotonic time in ticks of 100 ns.</param>
    /// <param name="remaining">Tokens left in the bucket, as far as this process knows.</param>
    /// <param name="resetTicks">Ticks until the bucket is full again.</param>
    /// <param name="retryTicks">When denied: ticks until a token may be there.</param>
    /// <param name="low">True when the lease should be renewed in the background.</param>
    public Take TryTake(long now, out long remaining, out long resetTicks, out long retryTicks, out bool low)
    {
        lock (_lock)
        {
            LastUsed = now;
            retryTicks = 0;
            resetTicks = Math.Max(0, _fullAt - now);
            low = false;
            if (now < _deniedUntil)
            {
                (remaining, retryTicks) = (0, Math.Max(1, _retryAt - now));
                return Take.Denied;
            }
            if (_tokens == 0 || now - _leasedAt > LeaseTicks)
            {
                remaining = 0;
                return Take.Empty;
            }
            _tokens--;
            remaining = _remaining + _tokens;
            low = _wanted > 4 && _tokens < _wanted / 4 && _refill is null;
            return Take.Allowed;
        }
    }

    /// <summary>Whether Redis must be asked before anything can be said.</summary>
    public bool IsEmpty(long now)
    {
        lock (_lock) return now >= _deniedUntil && (_tokens == 0 || now - _leasedAt > LeaseTicks);
    }

    /// <summary>Puts back a token that was taken just before.</summary>
    public void PutBack()
    {
        lock (_lock) _tokens++;
    }

    /// <summary>Asks Redis for tokens; callers at the same time share one question. False: Redis did not answer.</summary>
    public Task<bool> RefillAsync(RedisConnection redis, Func<long> clock, long interval, int burst)
    {
        lock (_lock)
        {
            if (_refill is { } running)
            {
                _waiting++;
                return running;
            }
            long now = clock();
            bool expired = now - _leasedAt > LeaseTicks;
            // Used up within a moment: more at once next time. Hardly used: less.
            _wanted = expired ? Math.Max(1, _wanted / 4) : now - _leasedAt < BusyTicks ? Math.Min(MaxLease, _wanted * 2) : _wanted;
            // Those who came while the last question was under way want one each.
            _wanted = Math.Clamp(_waiting + 1, _wanted, MaxLease);
            _waiting = 0;
            int unused = expired ? _tokens : 0;
            if (expired) _tokens = 0;
            (_interval, _burst) = (interval, burst);
            TaskCompletionSource<bool> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _refill = done.Task;
            _ = AskAsync(redis, clock, _wanted, unused, done);
            return done.Task;
        }
    }

    /// <summary>Gives back what of the lease was not used in time.</summary>
    public void GiveBackUnused(RedisConnection redis, long now)
    {
        int unused;
        lock (_lock)
        {
            if (_tokens == 0 || now - _leasedAt <= LeaseTicks || _refill is not null) return;
            (unused, _tokens) = (_tokens, 0);
        }
        redis.Tell(db => EvaluateAsync(db, -unused));
    }

    private async Task AskAsync(RedisConnection redis, Func<long> clock, int wanted, int unused, TaskCompletionSource<bool> done)
    {
        bool answered = false;
        try
        {
            if (unused > 0) redis.Tell(db => EvaluateAsync(db, -unused));
            long[]? answer = await redis.TryAsync(db => EvaluateAsync(db, wanted));
            if (answer is null) return;
            long now = clock();
            lock (_lock)
            {
                _tokens += (int)answer[0];
                _remaining = answer[1];
                _leasedAt = now;
                _fullAt = now + (answer[2] * TimeSpan.TicksPerMicrosecond);
                // With tokens in hand a refusal of more is no reason to turn anybody away yet.
                _retryAt = now + (answer[3] * TimeSpan.TicksPerMicrosecond);
                _deniedUntil = answer[0] == 0 && _tokens == 0 ? Math.Clamp(_retryAt, now + 1, now + DenialTicks) : 0;
            }
            answered = true;
        }
        finally
        {
            lock (_lock) _refill = null;
            done.SetResult(answered);
        }
    }

    private async Task<long[]> EvaluateAsync(IDatabase database, int wanted) =>
        (long[])(await database.ScriptEvaluateAsync(Script, [key], [_interval / (double)TimeSpan.TicksPerMicrosecond, _burst, wanted]))!;
}
