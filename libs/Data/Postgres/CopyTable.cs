using NpgsqlTypes;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Adds many rows to a table by binary COPY. PostgreSQL refuses COPY into a table with row-level security, and COPY knows no ON CONFLICT; so the rows go
/// into a temporary table, and from there with one INSERT, which the policies check and which leaves out rows that are known already. Make one
/// instance for each table and list of columns.
/// </summary>
public sealed class CopyTable
{
    private readonly StagingTable _stage;
    private readonly string _insert;

    /// <param name="table">The table with its schema.</param>
    /// <param name="columns">Names and types of the columns that are given, in order. A constant of the program: it becomes SQL.</param>
    /// <param name="onConflict">What happens with rows that are there already.</param>
    /// <param name="orderBy">
    /// Columns of the table's key: in their order the rows touch its index page by page, and two writers of the same rows wait for each other instead of for
    /// ever.
    /// </param>
    public CopyTable(string table, IReadOnlyList<(string Name, NpgsqlDbType Type)> columns, string onConflict = "ON CONFLICT DO NOTHING", string? orderBy = null)
    {
        _stage = new StagingTable(table[(table.IndexOf('.') + 1)..], columns);
        _insert = $"INSERT INTO {table} ({_stage.Names}) SELECT {_stage.Names} FROM {_stage.Sql} {(orderBy is null ? "" : $"ORDER BY {orderBy} ")}{onConflict}";
    }

    /// <summary>Adds rows, whose values are in the order of the columns, inside the session's transaction. Returns how many were new.</summary>
    public async Task<int> InsertAsync(PostgresSession session, IReadOnlyCollection<object?[]> rows, CancellationToken cancellationToken = default)
    {
        if (rows.Count == 0) return 0;
        await _stage.FillAsync(session, rows, cancellationToken);
        return await session.Sql(_insert).ExecuteAsync(cancellationToken);
    }

    /// <inheritdoc cref="InsertAsync(PostgresSession, IReadOnlyCollection{object?[]}, CancellationToken)"/>
    public async Task<int> InsertAsync(PostgresSession session, CopyRows rows, CancellationToken cancellationToken = default)
    {
        if (rows.Count == 0) return 0;
        await _stage.FillAsync(session, rows, cancellationToken);
        return await session.Sql(_insert).ExecuteAsync(cancellationToken);
    }
}
