using Microsoft.Data.Sqlite;
using MultiAgent.Contracts;
using SQLitePCL;

namespace MultiAgent.Data.Sqlite;

/// <summary>Tells failures of the disk under a file, which pass, from those of a statement, which do not (https://www.sqlite.org/rescode.html).</summary>
public static class SqliteFaults
{
    /// <summary>True when the file cannot be written or read at the moment: the disk is full, or fails.</summary>
    public static bool IsUnavailable(Exception? e) =>
        e is SqliteException { SqliteErrorCode: raw.SQLITE_FULL or raw.SQLITE_IOERR or raw.SQLITE_CANTOPEN or raw.SQLITE_READONLY } || (e?.InnerException is { } inner && IsUnavailable(inner));

    // Of a full disk a commit is undone as a whole: what happened is known.
    internal static Exception Told(Exception e) => IsUnavailable(e) ? new StorageUnavailableException("The disk is full, or fails.", e) : e;
}
