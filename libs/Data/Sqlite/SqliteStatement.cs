using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace MultiAgent.Data.Sqlite;

/// <summary>
/// A prepared statement on the raw SQLite API, for append-heavy paths where the parameter and reader objects of ADO.NET
/// cost more than the insert itself. Parameters and columns are numbered; parameters from 1, columns from 0, as in SQLite.
/// </summary>
public sealed unsafe class SqliteStatement : IDisposable
{
    private readonly sqlite3 _db;
    private readonly sqlite3_stmt _statement;
    private readonly nint _handle;

    internal SqliteStatement(sqlite3 db, string sql)
    {
        _db = db;
        int code = raw.sqlite3_prepare_v2(db, sql, out _statement);
        SqliteException.ThrowExceptionForRC(code, db);
        _handle = _statement.DangerousGetHandle();
    }

    public SqliteStatement Bind(int index, string? value)
    {
        if (value is null) SqliteNative.BindNull(_handle, index);
        else raw.sqlite3_bind_text(_statement, index, value);
        return this;
    }

    public SqliteStatement Bind(int index, long value)
    {
        SqliteNative.BindInt64(_handle, index, value);
        return this;
    }

    public SqliteStatement Bind(int index, long? value)
    {
        if (value is null) SqliteNative.BindNull(_handle, index);
        else SqliteNative.BindInt64(_handle, index, value.Value);
        return this;
    }

    public SqliteStatement Bind(int index, double? value)
    {
        if (value is null) SqliteNative.BindNull(_handle, index);
        else SqliteNative.BindDouble(_handle, index, value.Value);
        return this;
    }

    public SqliteStatement Bind(int index, bool value) => Bind(index, value ? 1L : 0L);

    /// <summary>Unix milliseconds, as every time in SQLite is stored.</summary>
    public SqliteStatement Bind(int index, DateTimeOffset value) => Bind(index, value.ToUnixTimeMilliseconds());

    public SqliteStatement Bind(int index, DateTimeOffset? value) => Bind(index, value?.ToUnixTimeMilliseconds());

    /// <summary>Binds UTF-8 bytes as text, without a string in between.</summary>
    public SqliteStatement BindUtf8(int index, ReadOnlySpan<byte> value)
    {
        fixed (byte* text = value) SqliteNative.BindText(_handle, index, text, value.Length, SqliteNative.Transient);
        return this;
    }

    /// <summary>
    /// Binds UTF-8 bytes as text without a copy; nothing is bound as null. The caller keeps them pinned until <see cref="Execute"/> or
    /// <see cref="Reset"/> has returned.
    /// </summary>
    public SqliteStatement BindPinned(int index, ReadOnlySpan<byte> value)
    {
        fixed (byte* text = value) SqliteNative.BindText(_handle, index, text, value.Length, SqliteNative.Static);
        return this;
    }

    public SqliteStatement BindBlob(int index, ReadOnlySpan<byte> value)
    {
        raw.sqlite3_bind_blob(_statement, index, value);
        return this;
    }

    /// <summary>Runs a statement that returns no rows, and makes it ready for the next use. Returns the number of rows changed.</summary>
    public int Execute()
    {
        int code = SqliteNative.Step(_handle);
        SqliteNative.Reset(_handle);
        SqliteNative.ClearBindings(_handle);
        if (code is not (raw.SQLITE_DONE or raw.SQLITE_ROW)) SqliteException.ThrowExceptionForRC(code, _db);
        return raw.sqlite3_changes(_db);
    }

    /// <summary>Moves to the next row; false at the end, after which the statement is ready for the next use.</summary>
    public bool Step()
    {
        int code = SqliteNative.Step(_handle);
        if (code == raw.SQLITE_ROW) return true;
        Reset();
        if (code != raw.SQLITE_DONE) SqliteException.ThrowExceptionForRC(code, _db);
        return false;
    }

    /// <summary>Makes the statement ready for the next use; call it when leaving rows unread.</summary>
    public void Reset()
    {
        SqliteNative.Reset(_handle);
        SqliteNative.ClearBindings(_handle);
    }

    public bool IsNull(int column) => raw.sqlite3_column_type(_statement, column) == raw.SQLITE_NULL;

    public long Int64(int column) => raw.sqlite3_column_int64(_statement, column);

    public long? Int64OrNull(int column) => IsNull(column) ? null : Int64(column);

    public double Double(int column) => raw.sqlite3_column_double(_statement, column);

    public double? DoubleOrNull(int column) => IsNull(column) ? null : Double(column);

    public string Text(int column) => raw.sqlite3_column_text(_statement, column).utf8_to_string();

    public string? TextOrNull(int column) => IsNull(column) ? null : Text(column);

    public DateTimeOffset Time(int column) => DateTimeOffset.FromUnixTimeMilliseconds(Int64(column));

    public DateTimeOffset? TimeOrNull(int column) => IsNull(column) ? null : Time(column);

    /// <summary>The bytes of a blob or text; valid until the next step.</summary>
    public ReadOnlySpan<byte> Bytes(int column) => raw.sqlite3_column_blob(_statement, column);

    public void Dispose() => _statement.Dispose();
}
