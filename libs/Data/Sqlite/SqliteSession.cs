using Microsoft.Data.Sqlite;

namespace MultiAgent.Data.Sqlite;

/// <summary>One open connection and its prepared statements. Used by one thread at a time.</summary>
public sealed class SqliteSession : IDisposable
{
    private readonly Dictionary<string, SqliteStatement> _statements = new(StringComparer.Ordinal);

    internal SqliteSession(SqliteConnection connection) => Connection = connection;

    /// <summary>The connection, for what needs ADO.NET.</summary>
    public SqliteConnection Connection { get; }

    /// <summary>
    /// The prepared statement for <paramref name="sql"/>, made once per session. Pass constant SQL only: every distinct
    /// text is kept.
    /// </summary>
    public SqliteStatement Prepare(string sql)
    {
        if (_statements.TryGetValue(sql, out SqliteStatement? statement))
        {
            // A use that threw half way may have left it stepped or bound.
            statement.Reset();
            return statement;
        }
        statement = new SqliteStatement(Connection.Handle!, sql);
        _statements.Add(sql, statement);
        return statement;
    }

    /// <summary>A statement whose text is not constant; the caller disposes it.</summary>
    public SqliteStatement PrepareOnce(string sql) => new(Connection.Handle!, sql);

    /// <summary>Runs SQL that is not worth preparing; may hold several statements.</summary>
    public void Execute(string sql)
    {
        using SqliteCommand command = Connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public void Dispose()
    {
        foreach (SqliteStatement statement in _statements.Values) statement.Dispose();
        Connection.Dispose();
    }
}
