using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace MultiAgent.Data.Sqlite;

/// <summary>
/// The database file of one service (<c>&lt;data&gt;/&lt;service&gt;.db</c>): one writer with group commit, and any
/// number of readers beside it, since the write-ahead log lets them read while it writes.
/// </summary>
public sealed class SqliteDatabase : IDisposable
{
    private const int MaxIdleReaders = 8;

    // A page that is changed again before the checkpoint is copied to the file once only.
    private const int CheckpointBytes = 32 * 1024 * 1024;

    // Every connection is used by one thread at a time, so SQLite need not lock each call; and its count of used memory, behind one lock
    // for the whole process, is read by nobody. Both must be said before the first connection opens.
    static SqliteDatabase()
    {
        Batteries_V2.Init();
        raw.sqlite3_config(raw.SQLITE_CONFIG_MULTITHREAD);
        raw.sqlite3_config(raw.SQLITE_CONFIG_MEMSTATUS, 0);
    }

    private readonly ConcurrentBag<SqliteSession> _readers = [];
    private readonly bool _syncEveryCommit;
    private readonly int _queueCapacity;
    private readonly int _pageSize;
    private readonly Lock _lock = new();
    private SqliteWriter? _writer;

    /// <param name="service">The service's name; names the file.</param>
    /// <param name="options">Where the data is and how durable a commit is.</param>
    /// <param name="pageSize">
    /// Bytes of a page, fixed when the file is made. Each changed page costs two writes at commit and a read and a write at the
    /// checkpoint, whatever its size: tables that grow at their end by many or by long rows want large ones.
    /// </param>
    public SqliteDatabase(string service, DataOptions options, int pageSize = 4096)
    {
        Service = service;
        _pageSize = pageSize;
        Path = System.IO.Path.Combine(options.Directory, $"{service}.db");
        _syncEveryCommit = options.SyncEveryCommit;
        _queueCapacity = options.WriteQueueCapacity;
        ConnectionString = new SqliteConnectionStringBuilder
        {
            DataSource = Path,
            Mode = SqliteOpenMode.ReadWriteCreate,
            Pooling = true,
            ForeignKeys = true,
        }.ToString();
    }

    public string Service { get; }

    /// <summary>Full path of the file.</summary>
    public string Path { get; }

    /// <summary>For EF Core, which opens connections of its own.</summary>
    public string ConnectionString { get; }

    /// <summary>The one writer; started on first use.</summary>
    public SqliteWriter Writer
    {
        get
        {
            if (_writer is { } writer) return writer;
            lock (_lock) return _writer ??= new SqliteWriter(OpenSession(), Service, _queueCapacity);
        }
    }

    /// <summary>Reads on a pooled session. SQLite reads are synchronous; keep them short and bounded.</summary>
    public T Read<T>(Func<SqliteSession, T> query)
    {
        if (!_readers.TryTake(out SqliteSession? session)) session = OpenSession();
        bool healthy = false;
        try
        {
            T result = query(session);
            healthy = true;
            return result;
        }
        finally
        {
            // After a failure a statement may be half stepped; a new session is cheaper than finding out which.
            if (healthy && _readers.Count < MaxIdleReaders) _readers.Add(session);
            else session.Dispose();
        }
    }

    /// <summary>A session of its own, for migrations and tests.</summary>
    public SqliteSession OpenSession()
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder(ConnectionString) { Pooling = false }.ToString());
        connection.Open();
        var session = new SqliteSession(connection);
        session.Execute($"""
            PRAGMA page_size = {_pageSize};
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = {(_syncEveryCommit ? "FULL" : "NORMAL")};
            PRAGMA busy_timeout = 10000;
            PRAGMA foreign_keys = ON;
            PRAGMA temp_store = MEMORY;
            PRAGMA cache_size = -16384;
            PRAGMA journal_size_limit = 67108864;
            PRAGMA wal_autocheckpoint = {CheckpointBytes / _pageSize};
            """);
        return session;
    }

    public void Dispose()
    {
        _writer?.Dispose();
        while (_readers.TryTake(out SqliteSession? session)) session.Dispose();
    }
}
