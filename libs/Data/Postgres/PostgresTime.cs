using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Times on PostgreSQL are <c>timestamptz(3)</c>: what its tools, its partitions and its date functions understand. They are cut to whole milliseconds
/// on the way in, as SQLite's are, so that positions in lists, which are told in milliseconds, fall on a row and not beside it.
/// </summary>
public static class PostgresTime
{
    /// <summary>The time as it is stored.</summary>
    public static DateTime Of(DateTimeOffset time) => new(time.UtcTicks - time.UtcTicks % TimeSpan.TicksPerMillisecond, DateTimeKind.Utc);
}

/// <summary>Columns by number, from 0, with the names that SQLite's statements have.</summary>
public static class PostgresColumns
{
    public static string Text(this NpgsqlDataReader row, int column) => row.GetString(column);

    public static string? TextOrNull(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetString(column);

    public static long Int64(this NpgsqlDataReader row, int column) => row.GetInt64(column);

    public static long? Int64OrNull(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt64(column);

    public static int Int32(this NpgsqlDataReader row, int column) => row.GetInt32(column);

    public static int? Int32OrNull(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetInt32(column);

    public static double? DoubleOrNull(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : row.GetDouble(column);

    public static bool Boolean(this NpgsqlDataReader row, int column) => row.GetBoolean(column);

    public static byte[] Bytes(this NpgsqlDataReader row, int column) => row.GetFieldValue<byte[]>(column);

    public static DateTimeOffset Time(this NpgsqlDataReader row, int column) => new(row.GetDateTime(column));

    public static DateTimeOffset? TimeOrNull(this NpgsqlDataReader row, int column) => row.IsDBNull(column) ? null : new(row.GetDateTime(column));
}
