using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Statements on behalf of one scope, inside a transaction or each one by itself. The scope travels with the first statement of a transaction, and with
/// every statement that is its own transaction, in the same round trip.
/// </summary>
public sealed class PostgresSession
{
    private readonly NpgsqlTransaction? _transaction;
    private bool _announced;

    internal PostgresSession(NpgsqlConnection connection, NpgsqlTransaction? transaction, TenantScope scope)
    {
        Connection = connection;
        _transaction = transaction;
        Scope = scope;
    }

    public TenantScope Scope { get; }

    internal NpgsqlConnection Connection { get; }

    /// <summary>Temporary tables that this transaction has filled.</summary>
    internal HashSet<string> Staged { get; } = [];

    /// <summary>
    /// A statement with parameters <c>$1</c>, <c>$2</c> … Names of tables carry their schema: a search path does not survive a pooler. Where null may
    /// come and PostgreSQL cannot see the type, say it: <c>$2::text IS NULL</c>.
    /// </summary>
    public PostgresStatement Sql(string text, params ReadOnlySpan<object?> values) => new(this, PostgresStatement.Command(text, values));

    /// <summary>Several statements in one round trip; returns how many rows each one changed.</summary>
    public async Task<IReadOnlyList<long>> ExecuteAllAsync(WriteBatch batch, CancellationToken cancellationToken = default)
    {
        if (batch.Statements.Count == 0) return [];
        await using NpgsqlBatch all = Batch();
        foreach (NpgsqlBatchCommand command in batch.Statements) all.BatchCommands.Add(command);
        try
        {
            await all.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException e) when (batch.Refusal(e) is { } refusal)
        {
            throw refusal;
        }
        return batch.Counts();
    }

    /// <summary>A batch that begins with the scope where it is not set yet.</summary>
    internal NpgsqlBatch Batch()
    {
        var batch = new NpgsqlBatch(Connection, _transaction);
        if (!_announced) batch.BatchCommands.Add(RowScope.Command(Scope));
        _announced = _transaction is not null;
        return batch;
    }
}

/// <summary>One statement of a session, to be run once.</summary>
public readonly struct PostgresStatement
{
    private readonly PostgresSession _session;
    private readonly NpgsqlBatchCommand _command;

    internal PostgresStatement(PostgresSession session, NpgsqlBatchCommand command) => (_session, _command) = (session, command);

    /// <summary>Runs it and returns how many rows it changed.</summary>
    public async Task<int> ExecuteAsync(CancellationToken cancellationToken = default)
    {
        NpgsqlBatchCommand command = _command;
        await using NpgsqlBatch batch = _session.Batch();
        batch.BatchCommands.Add(command);
        await batch.ExecuteNonQueryAsync(cancellationToken);
        return (int)command.RecordsAffected;
    }

    /// <summary>All rows.</summary>
    public async Task<List<T>> ListAsync<T>(Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken = default)
    {
        var rows = new List<T>();
        await using NpgsqlBatch batch = _session.Batch();
        await using NpgsqlDataReader reader = await OpenAsync(batch, cancellationToken);
        while (await reader.ReadAsync(cancellationToken)) rows.Add(read(reader));
        // A failure of the statement may come after its last row.
        await reader.NextResultAsync(cancellationToken);
        return rows;
    }

    /// <summary>The first row, or the default of the type where there is none.</summary>
    public async Task<T?> FirstAsync<T>(Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken = default)
    {
        await using NpgsqlBatch batch = _session.Batch();
        await using NpgsqlDataReader reader = await OpenAsync(batch, cancellationToken);
        T? row = await reader.ReadAsync(cancellationToken) ? read(reader) : default;
        await reader.NextResultAsync(cancellationToken);
        return row;
    }

    internal static NpgsqlBatchCommand Command(string text, ReadOnlySpan<object?> values)
    {
        var command = new NpgsqlBatchCommand(text);
        foreach (object? value in values) command.Parameters.Add(Parameter(value));
        return command;
    }

    private static NpgsqlParameter Parameter(object? value) => value switch
    {
        null => new NpgsqlParameter { Value = DBNull.Value },
        DateTimeOffset time => new NpgsqlParameter<DateTime> { TypedValue = PostgresTime.Of(time), NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.TimestampTz },
        string text => new NpgsqlParameter<string> { TypedValue = text },
        ReadOnlyMemory<byte> bytes => new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = bytes, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Bytea },
        NpgsqlParameter made => made,
        _ => new NpgsqlParameter { Value = value },
    };

    private async Task<NpgsqlDataReader> OpenAsync(NpgsqlBatch batch, CancellationToken cancellationToken)
    {
        bool announces = batch.BatchCommands.Count == 1;
        batch.BatchCommands.Add(_command);
        NpgsqlDataReader reader = await batch.ExecuteReaderAsync(cancellationToken);
        if (announces) await reader.NextResultAsync(cancellationToken);
        return reader;
    }
}
