using System.Buffers;
using MultiAgent.Orchestrator.Agents;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Why a run is being stopped from outside.</summary>
internal enum StopCause
{
    /// <summary>Nobody stopped it; when its token fires all the same, its time is up.</summary>
    None,
    /// <summary>Asked for through the API.</summary>
    Requested,
    /// <summary>The client of a completion left.</summary>
    ClientGone,
    /// <summary>A newer message of the conversation took its place.</summary>
    Superseded,
    /// <summary>As <see cref="Superseded"/>, and what it wrote to the conversation goes with it.</summary>
    RolledBack,
    /// <summary>The process ends; the run stays unfinished and the next start takes it up.</summary>
    Shutdown,
    /// <summary>Another process works on the run now, or may soon: this one must not.</summary>
    LeaseLost,
}

/// <summary>A position of a reader in a live run: the last event seen, and how much of the message in the making.</summary>
internal struct LiveCursor
{
    public long Seq;
    public int Message;
    public int Offset;

    /// <summary>From the run's first event on, deltas included.</summary>
    public static readonly LiveCursor FromStart = default;

    /// <summary>After an event; of the message in the making, everything so far.</summary>
    public static LiveCursor After(long seq) => new() { Seq = seq, Message = -1 };
}

/// <summary>Something new for a reader: a stored event, or a piece of text that is not stored on its own.</summary>
internal readonly record struct LiveItem(RunEvent? Event, ReadOnlyMemory<byte> Text);

/// <summary>
/// A run in this process that has not ended: what its readers follow and how it is stopped. Readers pull: each has its
/// cursor, and whoever is slow gets several deltas as one, so that nothing queues up.
/// </summary>
internal sealed class LiveRun(RunRecord record, CompiledAgent? agent, RunInput input)
{
    // A reader that is further behind reads the store.
    private const int MaxTail = 256;

    private readonly Lock _lock = new();
    private readonly List<RunEvent> _tail = [];
    private readonly TaskCompletionSource<RunOutcome?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<RunOutcome?> _decided = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ArrayBufferWriter<byte>? _text;
    private TaskCompletionSource? _changed;
    private CancellationTokenSource? _cancellation;
    private CancellationTokenSource? _abandoned;
    private bool _isAbandoned;
    private StopCause _cause;
    private int _followers;
    private int _taken;
    private int _message;
    private bool _closed;
    private volatile bool _pauseRequested;

    public RunRecord Record { get; } = record;
    /// <summary>Null when the run is a workflow's.</summary>
    public CompiledAgent? Agent { get; } = agent;
    public RunInput Input { get; } = input;

    /// <summary>Events that an earlier process logged: they are in the store only.</summary>
    public long StoredBefore { get; init; }

    /// <summary>When the run last appended an event, for the health probe.</summary>
    public long LastProgress { get; set; }

    /// <summary>
    /// Takes the run's end along with the next write of the run that it is a step of. The task ends when it is stored; with false when it is not, and the run has to store it itself. Null: it always
    /// does.
    /// </summary>
    public Func<RunWrite, Task<bool>>? EndsWith { get; init; }

    /// <summary>The outcome; null when the process stops first.</summary>
    public Task<RunOutcome?> Outcome => _outcome.Task;

    /// <summary>
    /// The same, but possibly before it is stored: for the run that takes this one's end along (<see cref="EndsWith"/>), and may do nothing that others see before its own next write.
    /// </summary>
    public Task<RunOutcome?> Decided => _decided.Task;

    /// <summary>Tells whoever waits for it how the run ends.</summary>
    public void Decide(RunOutcome outcome) => _decided.TrySetResult(outcome);

    /// <summary>False while it waits for its turn.</summary>
    public bool HasBegun
    {
        get { lock (_lock) return _cancellation is not null; }
    }

    /// <summary>True for the first caller, who begins the run: its turn may be told on more than one way.</summary>
    public bool TryTake() => Interlocked.Exchange(ref _taken, 1) == 0;

    public StopCause Cause
    {
        get { lock (_lock) return _cause; }
    }

    /// <summary>Fires when the process stops or has lost the run, whatever was asked of it before.</summary>
    public CancellationToken Abandoned
    {
        get
        {
            lock (_lock) return _isAbandoned ? new CancellationToken(true) : (_abandoned ??= new CancellationTokenSource()).Token;
        }
    }

    /// <summary>The run is to rest at its next boundary.</summary>
    public bool PauseRequested
    {
        get => _pauseRequested;
        set
        {
            _pauseRequested = value;
            Nudged?.Invoke();
        }
    }

    /// <summary>Called when something that the run waits for may have come.</summary>
    public Action? Nudged { get; set; }

    /// <summary>Starts the run's clock. The token fires when it is stopped or its time is up.</summary>
    public CancellationToken Begin(TimeSpan maxTime, TimeProvider time)
    {
        CancellationTokenSource cancellation = LongCancellation.After(maxTime, time);
        lock (_lock)
        {
            _cancellation = cancellation;
            if (_cause == StopCause.None) return cancellation.Token;
        }
        cancellation.Cancel();
        return cancellation.Token;
    }

    /// <summary>Stops the run, unless it was stopped before.</summary>
    public void Stop(StopCause cause)
    {
        CancellationTokenSource? cancellation;
        if (cause is StopCause.Shutdown or StopCause.LeaseLost) Abandon();
        lock (_lock)
        {
            if (_cause != StopCause.None || _closed) return;
            _cause = cause;
            cancellation = _cancellation;
        }
        try
        {
            cancellation?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The run ended between the lock and here.
        }
    }

    private void Abandon()
    {
        CancellationTokenSource? abandoned;
        lock (_lock) (abandoned, _isAbandoned) = (_abandoned, true);
        abandoned?.Cancel();
    }

    /// <summary>Counts a client that the run works for.</summary>
    public void Follow() => Interlocked.Increment(ref _followers);

    /// <summary>A client left; the last one takes the run with it.</summary>
    public void Unfollow()
    {
        if (Interlocked.Decrement(ref _followers) == 0) Stop(StopCause.ClientGone);
    }

    /// <summary>Adds to the message in the making.</summary>
    public void AppendText(ReadOnlySpan<byte> text)
    {
        TaskCompletionSource? changed;
        lock (_lock)
        {
            (_text ??= new ArrayBufferWriter<byte>(256)).Write(text);
            (changed, _changed) = (_changed, null);
        }
        changed?.SetResult();
    }

    /// <summary>The message in the making so far.</summary>
    public byte[] TextSoFar()
    {
        lock (_lock) return _text is null ? [] : _text.WrittenSpan.ToArray();
    }

    /// <summary>Shows events that are stored.</summary>
    public void Publish(IReadOnlyList<RunEvent> events)
    {
        TaskCompletionSource? changed;
        lock (_lock)
        {
            foreach (RunEvent e in events)
            {
                if (_tail.Count == MaxTail) _tail.RemoveRange(0, MaxTail / 2);
                _tail.Add(e);
                if (!e.EndsText) continue;
                _message++;
                _text = null;
            }
            (changed, _changed) = (_changed, null);
        }
        changed?.SetResult();
    }

    /// <summary>Ends the run for its readers.</summary>
    public void Close(RunOutcome? outcome)
    {
        TaskCompletionSource? changed;
        CancellationTokenSource? cancellation;
        lock (_lock)
        {
            _closed = true;
            (changed, _changed) = (_changed, null);
            (cancellation, _cancellation) = (_cancellation, null);
        }
        _decided.TrySetResult(outcome);
        _outcome.TrySetResult(outcome);
        changed?.SetResult();
        cancellation?.Dispose();
    }

    /// <summary>
    /// Puts what is new since the cursor into <paramref name="items"/> and moves the cursor. When <paramref name="behind"/>
    /// comes back true, the next events are not in memory any more: read the store up to where they are. Returns a task that
    /// ends when there is more, or null when the run is over for readers.
    /// </summary>
    public Task? Read(ref LiveCursor cursor, List<LiveItem> items, out bool behind)
    {
        behind = false;
        lock (_lock)
        {
            if (cursor.Seq + 1 < (_tail.Count > 0 ? _tail[0].Seq : StoredBefore + 1))
            {
                behind = true;
                cursor.Message = -1;
                return Task.CompletedTask;
            }
            foreach (RunEvent e in _tail)
            {
                if (e.Seq <= cursor.Seq) continue;
                if (e.EndsText)
                {
                    if (cursor.Message >= 0 && e.StreamedText.Length > cursor.Offset) items.Add(new LiveItem(null, e.StreamedText[cursor.Offset..]));
                    if (cursor.Message >= 0) cursor.Message++;
                    cursor.Offset = 0;
                }
                items.Add(new LiveItem(e, default));
                cursor.Seq = e.Seq;
            }
            if (cursor.Message != _message) (cursor.Message, cursor.Offset) = (_message, 0);
            if (_text is not null && _text.WrittenCount > cursor.Offset)
            {
                items.Add(new LiveItem(null, _text.WrittenSpan[cursor.Offset..].ToArray()));
                cursor.Offset = _text.WrittenCount;
            }
            if (items.Count > 0) return Task.CompletedTask;
            if (_closed) return null;
            return (_changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }
    }
}
