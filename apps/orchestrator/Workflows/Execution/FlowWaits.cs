using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Waits;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>How a wait ended.</summary>
/// <param name="Resolution">What was waited for; null when the time was up.</param>
internal readonly record struct WaitEnd(WaitResolution? Resolution);

/// <summary>
/// The strands of a run that wait. While others work, they are woken here; when all of them wait and the nearest time is not close, the run is put to
/// rest: every wait ends with <see cref="ParkedException"/>, and nothing of the run stays in memory.
/// </summary>
internal sealed class FlowWaits(IRunWaits waits, LiveRun live, TimeProvider time)
{
    // To rest and to be taken up costs two writes and reading the log: not worth it for less.
    private static readonly TimeSpan WorthResting = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly List<Waiter> _waiters = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _strands = 1;
    private bool _watching;

    /// <summary>When a run that was put to rest goes on by itself.</summary>
    public DateTimeOffset? WakeAt { get; private set; }

    /// <summary>A strand goes on as several.</summary>
    public void Fork(int strands)
    {
        lock (_lock) _strands += strands - 1;
    }

    /// <summary>One of them has ended.</summary>
    public void End()
    {
        lock (_lock) _strands--;
        Nudge();
    }

    /// <summary>All of them have, and the one that forked goes on.</summary>
    public void Join()
    {
        lock (_lock) _strands++;
    }

    /// <summary>A wait of this run may have been resolved.</summary>
    public void Nudge()
    {
        lock (_lock)
        {
            _changed.TrySetResult();
        }
    }

    /// <summary>Waits until something is resolved, or until a time.</summary>
    /// <exception cref="ParkedException">The run is put to rest.</exception>
    public Task<WaitEnd> WaitAsync(string? waitId, DateTimeOffset? until, CancellationToken cancellationToken) => WaitAsync(new Waiter(waitId, until, Pauses: false), cancellationToken);

    /// <summary>Where the run may rest because it was asked to: waits until all strands do, or until that is taken back.</summary>
    /// <exception cref="ParkedException">The run is put to rest.</exception>
    public Task PauseAsync(CancellationToken cancellationToken) => live.PauseRequested ? WaitAsync(new Waiter(null, null, Pauses: true), cancellationToken) : Task.CompletedTask;

    private async Task<WaitEnd> WaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        bool watch;
        lock (_lock)
        {
            _waiters.Add(waiter);
            watch = !_watching;
            _watching = true;
            _changed.TrySetResult();
        }
        if (watch) _ = WatchAsync();
        await using CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(static (state, token) =>
        {
            (FlowWaits self, Waiter waiter) = ((FlowWaits, Waiter))state!;
            lock (self._lock) self._waiters.Remove(waiter);
            waiter.Ended.TrySetCanceled(token);
        }, (this, waiter));
        return await waiter.Ended.Task;
    }

    private async Task WatchAsync()
    {
        try
        {
            while (true)
            {
                Task changed;
                bool asks;
                lock (_lock)
                {
                    if (_waiters.Count == 0)
                    {
                        _watching = false;
                        return;
                    }
                    if (_changed.Task.IsCompleted) _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
                    changed = _changed.Task;
                    asks = _waiters.Any(w => w.WaitId is not null);
                }
                IReadOnlyList<RunWait> resolved = asks ? await ResolvedAsync() : [];
                TimeSpan pause = Beat;
                lock (_lock)
                {
                    if (Settle(resolved)) continue;
                    DateTimeOffset now = time.GetUtcNow();
                    DateTimeOffset? nearest = _waiters.Min(w => w.Until);
                    if (_waiters.Count > 0 && _waiters.Count == _strands && (live.PauseRequested || nearest is null || nearest - now > WorthResting))
                    {
                        WakeAt = nearest;
                        foreach (Waiter waiter in _waiters) waiter.Ended.TrySetException(new ParkedException());
                        _waiters.Clear();
                        _watching = false;
                        return;
                    }
                    if (nearest is { } soon && soon - now < pause) pause = soon - now;
                }
                if (pause > TimeSpan.Zero) await changed.WaitAsync(pause, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
        catch (Exception e)
        {
            // The store refuses: whoever waits fails, and the run is taken up again from its log.
            lock (_lock)
            {
                foreach (Waiter waiter in _waiters) waiter.Ended.TrySetException(e);
                _waiters.Clear();
                _watching = false;
            }
        }
    }

    private async Task<IReadOnlyList<RunWait>> ResolvedAsync()
    {
        try
        {
            return await waits.ResolvedAsync(live.Record.TenantId, live.Record.Id);
        }
        catch (Exception e) when (e is StorageUnavailableException or OverloadedException)
        {
            // Asked again in a moment.
            return [];
        }
    }

    private bool Settle(IReadOnlyList<RunWait> resolved)
    {
        DateTimeOffset now = time.GetUtcNow();
        bool any = false;
        for (int i = _waiters.Count - 1; i >= 0; i--)
        {
            Waiter waiter = _waiters[i];
            WaitResolution? resolution = waiter.WaitId is null ? null : resolved.FirstOrDefault(r => r.Id == waiter.WaitId)?.Resolution;
            if (resolution is null && !(waiter.Until <= now) && !(waiter.Pauses && !live.PauseRequested)) continue;
            _waiters.RemoveAt(i);
            waiter.Ended.TrySetResult(new WaitEnd(resolution));
            any = true;
        }
        return any;
    }

    private sealed record Waiter(string? WaitId, DateTimeOffset? Until, bool Pauses)
    {
        public TaskCompletionSource<WaitEnd> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
