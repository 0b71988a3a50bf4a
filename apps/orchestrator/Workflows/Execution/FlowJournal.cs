using System.Runtime.ExceptionServices;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows.Compensations;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>
/// The log of a workflow's run, written by all strands of it. What several of them add while a write is under way goes with the next one; whoever has
/// appended may rely on it.
/// </summary>
internal sealed class FlowJournal(RunServices services, LiveRun live, RunLog log, SnapshotPace snapshots)
{
    // Long enough for the next step to come to its own write, too short for anybody who looks on.
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(5);

    private readonly RunWriter _writer = new(services, live);
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _turn = new(1, 1);
    private List<RunWait> _waits = [];
    private List<string> _closed = [];
    private EventEnvelope? _told;
    private DeadLetter? _deadLetter;
    private Exception? _broken;
    private List<StepEnd> _ends = [];
    // Those that the write under way takes along; of whoever's turn it is.
    private List<StepEnd> _ending = [];
    private bool _soon;
    // Counts what waits to be written soon, and how much of it a write has taken along.
    private long _added, _taken;

    /// <summary>An event about a place, stored with the next write; returns its number.</summary>
    public long Add<T>(string type, string path, T state, Action<Utf8JsonWriter, T> members)
    {
        lock (_lock)
        {
            AddLocked(type, path, state, members);
            return log.LastSeq;
        }
    }

    /// <summary>
    /// An event about a place, stored with the next write or within milliseconds; returns its number. For what nothing outside has come of yet: whatever acts outside
    /// next writes before it does, and so a crash before that leaves what a crash a moment earlier would have. It halves what a step waits for the disk.
    /// </summary>
    public long AddSoon<T>(string type, string path, T state, Action<Utf8JsonWriter, T> members)
    {
        lock (_lock)
        {
            AddLocked(type, path, state, members);
            FlushSoonLocked();
            return log.LastSeq;
        }
    }

    /// <summary>
    /// Takes the end of a run that is a step of this one along with the next write, which comes within milliseconds. As with <see cref="AddSoon"/>, whatever acts outside because of it writes first.
    /// </summary>
    /// <returns>Whether it is stored. If not, it is for the run itself to do.</returns>
    public Task<bool> EndAsync(RunWrite end)
    {
        var ending = new StepEnd(end);
        lock (_lock)
        {
            _ends.Add(ending);
            FlushSoonLocked();
        }
        return ending.Stored.Task;
    }

    /// <summary>An event about a place, stored when this returns with its number.</summary>
    public async Task<long> AppendAsync<T>(string type, string path, T state, Action<Utf8JsonWriter, T> members)
    {
        long seq = Add(type, path, state, members);
        await FlushAsync();
        return seq;
    }

    /// <summary>An event that begins a wait.</summary>
    public Task BeginWaitAsync<T>(RunWait wait, T state, Action<Utf8JsonWriter, T> members)
    {
        lock (_lock)
        {
            AddLocked(RunEventTypes.WaitRequested, wait.Path, state, members);
            _waits.Add(wait);
        }
        return FlushAsync();
    }

    /// <summary>An event that ends a wait.</summary>
    public Task EndWaitAsync<T>(string type, string path, string waitId, T state, Action<Utf8JsonWriter, T> members)
    {
        lock (_lock)
        {
            AddLocked(type, path, state, members);
            _closed.Add(waitId);
        }
        return FlushAsync();
    }

    /// <summary>An event of the run as a whole, and what is told with it.</summary>
    public Task TellAsync<T>(string type, T state, Action<Utf8JsonWriter, T> members, EventEnvelope? told = null, DeadLetter? deadLetter = null)
    {
        lock (_lock)
        {
            log.Add(type, state, members);
            (_told, _deadLetter) = (told, deadLetter);
        }
        return FlushAsync();
    }

    /// <summary>
    /// Starts a run for this one, and stores what is pending before it begins: in one write with it, so that a step waits for the disk once for both. Where others
    /// write at the moment it is two; strands that start many runs at once share writes better so.
    /// </summary>
    /// <param name="start">Starts it, without patience, with what is to be stored before it.</param>
    /// <param name="startAlone">Starts it, when all is stored that is to be.</param>
    public async Task<StartedRun> StartAsync(Func<RunWrite, ValueTask<StartedRun>> start, Func<Task<StartedRun>> startAlone)
    {
        if (_turn.Wait(0))
        {
            try
            {
                if (Take(null, null, 0) is { } write && await StartAsync(write, start) is { } started) return started;
            }
            finally
            {
                _turn.Release();
            }
        }
        else
        {
            await FlushAsync();
        }
        return await startAlone();
    }

    /// <summary>Null when it could not be started now; what was pending is stored in any case.</summary>
    private async Task<StartedRun?> StartAsync(RunWrite write, Func<RunWrite, ValueTask<StartedRun>> start)
    {
        StartedRun? started = null;
        Exception? refusal = null;
        try
        {
            started = await start(write);
        }
        catch (LeaseLostException e)
        {
            live.Stop(StopCause.LeaseLost);
            _broken = e;
            Settle(false);
            throw;
        }
        catch (Exception e)
        {
            refusal = e;
        }
        // A run that was there before brings nothing along.
        if (started is not { IsNew: true }) await StoreAsync(write, unknown: refusal is StorageUnavailableException { OutcomeUnknown: true });
        Stored(write);
        if (refusal is not null && !ChildRuns.IsPassing(refusal)) ExceptionDispatchInfo.Throw(refusal);
        return started;
    }

    public void Resumed()
    {
        lock (_lock) log.Resumed();
    }

    /// <summary>Ends the run.</summary>
    /// <param name="end">Its final row.</param>
    /// <param name="undoAttempts">Attempts at what it was to undo in the place of another.</param>
    public Task EndAsync(RunRecord end, int undoAttempts = 0) => WriteAsync(end, null, undoAttempts);

    /// <summary>Puts the run to rest.</summary>
    public Task ParkAsync(Parking parks) => WriteAsync(null, parks);

    public Task FlushAsync() => WriteAsync(null, null);

    private void FlushSoonLocked()
    {
        _added++;
        if (_soon) return;
        _soon = true;
        _ = FlushSoonAsync(_added);
    }

    private async Task FlushSoonAsync(long added)
    {
        while (true)
        {
            await Task.Delay(Soon, TimeProvider.System);
            lock (_lock)
            {
                bool went = added <= _taken;
                _soon = went && _added > _taken;
                if (!went) break;
                if (!_soon) return;
                // It went with another write, and what waits now has its own time: a run whose steps follow on each other needs no write besides theirs.
                added = _added;
            }
        }
        try
        {
            // What is left when the run is given up is for whoever takes it up.
            if (!live.Abandoned.IsCancellationRequested) await FlushAsync();
        }
        catch (Exception)
        {
            // It is kept, and thrown at the run's next write.
        }
        List<StepEnd> left;
        // Of runs whose parent says nothing more: it was given up, or has ended before them.
        lock (_lock) (left, _ends) = (_ends, []);
        foreach (StepEnd end in left) end.Stored.SetResult(false);
    }

    private void AddLocked<T>(string type, string path, T state, Action<Utf8JsonWriter, T> members) => log.Add(type, (path, state, members), static (json, s) =>
    {
        json.WriteString("path"u8, s.path);
        s.members(json, s.state);
    });

    private async Task WriteAsync(RunRecord? end, Parking? parks, int undoAttempts = 0)
    {
        await _turn.WaitAsync();
        try
        {
            if (Take(end, parks, undoAttempts) is not { } write) return;
            await StoreAsync(write);
            Stored(write);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>What is pending, for whoever's turn it is; null when there is nothing.</summary>
    private RunWrite? Take(RunRecord? end, Parking? parks, int undoAttempts)
    {
        // After a write that failed the numbers of later events would leave a gap.
        if (_broken is not null) ExceptionDispatchInfo.Throw(_broken);
        lock (_lock)
        {
            // Not before its turn: another write would take the event, and leave what belongs to it.
            if (end is not null) log.Ended(end);
            else if (parks is { Paused: true }) log.Paused();
            else if (parks is not null) log.Waiting(parks.WakeAt);
            List<RunEvent> events = log.Take();
            if (events.Count == 0) return null;
            _taken = _added;
            (_ending, _ends) = (_ends, []);
            var write = new RunWrite
            {
                Run = live.Record, Events = events, Waits = _waits, ClosedWaits = _closed, End = end, Parks = parks, Event = end is null ? _told : RunEndedEvent.Of(end), DeadLetter = _deadLetter,
                Ends = [.. _ending.Select(static e => e.Write)], UndoAttempts = undoAttempts, DropsSnapshot = end is not null && snapshots.MayExist,
            };
            (_waits, _closed, _told, _deadLetter) = ([], [], null, null);
            return write;
        }
    }

    private async Task StoreAsync(RunWrite write, bool unknown = false)
    {
        try
        {
            await _writer.WriteAsync(write, unknown);
        }
        catch (Exception e)
        {
            _broken = e;
            Settle(false);
            throw;
        }
    }

    private void Settle(bool stored)
    {
        foreach (StepEnd end in _ending) end.Stored.SetResult(stored);
        _ending = [];
    }

    private void Stored(RunWrite write)
    {
        Settle(true);
        live.LastProgress = services.Time.GetTimestamp();
        live.Publish(write.Events);
        if (write.End is null) snapshots.Stored(write.Events[^1].Seq);
    }

    private sealed class StepEnd(RunWrite write)
    {
        public RunWrite Write => write;

        public TaskCompletionSource<bool> Stored { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
