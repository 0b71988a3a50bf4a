using MultiAgent.Contracts;

namespace MultiAgent.Data.Sqlite;

/// <summary>
/// The one writer of a database file. Writes that arrive together share a transaction and its sync to disk (group
/// commit): a caller waits for its own write to be durable, and many callers cost little more than one. SQLite allows one
/// writer at a time anyway; here they queue in memory instead of failing on a lock.
/// </summary>
public sealed class SqliteWriter : IDisposable
{
    // Bounds the time of one transaction, and with it what a reader of the write-ahead log has to skip.
    private const int MaxBatch = 1024;

    // A monitor: its wait goes to sleep at once, where a semaphore spins first on a core that requests need.
    private readonly object _lock = new();
    private readonly SqliteSession _session;
    private readonly Thread _thread;
    private readonly int _capacity;
    private List<Work> _queue = [];
    private bool _stopping;

    internal SqliteWriter(SqliteSession session, string name, int capacity)
    {
        _session = session;
        _capacity = capacity;
        _thread = new Thread(Run) { IsBackground = true, Name = $"sqlite-writer-{name}" };
        _thread.Start();
    }

    /// <summary>Writes waiting for their turn.</summary>
    public int QueueLength
    {
        get { lock (_lock) return _queue.Count; }
    }

    /// <summary>
    /// Runs <paramref name="work"/> inside a transaction and returns its result once it is on disk. The work runs on
    /// the writer's thread, must only touch the session it is given, and may run twice when another write of the same
    /// transaction failed; an exception undoes this write alone and is thrown here.
    /// </summary>
    /// <exception cref="OverloadedException">The queue is full; nothing was written.</exception>
    /// <exception cref="StorageUnavailableException">The disk is full, or fails; nothing was written.</exception>
    public Task<T> WriteAsync<T>(Func<SqliteSession, T> work)
    {
        var item = new Work<T>(work);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_stopping, this);
            if (_queue.Count >= _capacity) throw new OverloadedException("The storage queue is full.");
            _queue.Add(item);
            if (_queue.Count == 1) Monitor.Pulse(_lock);
        }
        return item.Task;
    }

    /// <inheritdoc cref="WriteAsync{T}"/>
    public Task WriteAsync(Action<SqliteSession> work) => WriteAsync(session =>
    {
        work(session);
        return true;
    });

    /// <summary>Finishes what is queued and ends the thread.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_stopping) return;
            _stopping = true;
            Monitor.Pulse(_lock);
        }
        _thread.Join();
        _session.Dispose();
    }

    private void Run()
    {
        List<Work> spare = [];
        while (true)
        {
            List<Work> batch;
            bool last;
            lock (_lock)
            {
                while (_queue.Count == 0 && !_stopping) Monitor.Wait(_lock);
                (batch, _queue) = (_queue, spare);
                last = _stopping;
            }
            for (int start = 0; start < batch.Count; start += MaxBatch)
                RunBatch(batch, start, Math.Min(start + MaxBatch, batch.Count));
            batch.Clear();
            spare = batch;
            if (last) return;
        }
    }

    private void RunBatch(List<Work> batch, int start, int end)
    {
        try
        {
            _session.Prepare("BEGIN IMMEDIATE").Execute();
            for (int i = start; i < end; i++) batch[i].Run(_session);
            _session.Prepare("COMMIT").Execute();
        }
        catch (Exception e)
        {
            Rollback();
            if (end - start == 1)
            {
                batch[start].Fail(e);
                return;
            }
            // One bad write must not take its neighbours with it: each gets a transaction of its own.
            for (int i = start; i < end; i++) RunBatch(batch, i, i + 1);
            return;
        }
        for (int i = start; i < end; i++) batch[i].Complete();
    }

    private void Rollback()
    {
        try
        {
            _session.Execute("ROLLBACK");
        }
        catch (Microsoft.Data.Sqlite.SqliteException)
        {
            // SQLite has rolled back by itself (disk full, I/O error), or the transaction never began.
        }
    }

    private abstract class Work
    {
        public abstract void Run(SqliteSession session);
        public abstract void Complete();
        public abstract void Fail(Exception e);
    }

    private sealed class Work<T>(Func<SqliteSession, T> work) : Work
    {
        private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private T? _result;

        public Task<T> Task => _done.Task;

        public override void Run(SqliteSession session) => _result = work(session);

        public override void Complete() => _done.SetResult(_result!);

        public override void Fail(Exception e) => _done.SetException(SqliteFaults.Told(e));
    }
}
