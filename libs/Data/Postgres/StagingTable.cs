using System.Security.Cryptography;
using System.Text;
using Npgsql;
using NpgsqlTypes;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// A temporary table that a transaction fills by binary COPY and then reads with statements of its own. It is empty at the end of each transaction, whatever
/// connection that had. Make one instance for each list of columns.
/// </summary>
public sealed class StagingTable
{
    private readonly string _create;
    private readonly string _copy;

    /// <param name="name">What the rows are: lower case letters and <c>_</c>.</param>
    /// <param name="columns">Names and types, in order. A constant of the program: it becomes SQL.</param>
    public StagingTable(string name, IReadOnlyList<(string Name, NpgsqlDbType Type)> columns)
    {
        string definition = string.Join(", ", columns.Select(c => $"{c.Name} {SqlType(c.Type)}"));
        // A pooler's connection may still have the temporary table of an older version of the program.
        string version = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(definition)).AsSpan(0, 4));
        string local = $"stage_{name}_{version}";
        Columns = columns;
        Names = string.Join(", ", columns.Select(c => c.Name));
        Sql = $"pg_temp.{local}";
        _create = $"CREATE TEMPORARY TABLE IF NOT EXISTS {local} ({definition}) ON COMMIT DELETE ROWS";
        _copy = $"COPY {Sql} ({Names}) FROM STDIN (FORMAT BINARY)";
    }

    public IReadOnlyList<(string Name, NpgsqlDbType Type)> Columns { get; }

    /// <summary>The columns' names, for SQL.</summary>
    public string Names { get; }

    /// <summary>The table's name, for SQL.</summary>
    public string Sql { get; }

    /// <summary>Puts rows into the table, in place of those that the transaction put there before.</summary>
    public async Task FillAsync(PostgresSession session, CopyRows rows, CancellationToken cancellationToken = default)
    {
        await MakeAsync(session, cancellationToken);
        await using NpgsqlRawCopyStream stream = await session.Connection.BeginRawBinaryCopyAsync(_copy, cancellationToken);
        await stream.WriteAsync(rows.Finish(), cancellationToken);
    }

    /// <inheritdoc cref="FillAsync(PostgresSession, CopyRows, CancellationToken)"/>
    public async Task FillAsync(PostgresSession session, IReadOnlyCollection<object?[]> rows, CancellationToken cancellationToken = default)
    {
        await MakeAsync(session, cancellationToken);
        await using NpgsqlBinaryImporter import = await session.Connection.BeginBinaryImportAsync(_copy, cancellationToken);
        foreach (object?[] row in rows)
        {
            await import.StartRowAsync(cancellationToken);
            for (int i = 0; i < Columns.Count; i++)
            {
                if (row[i] is not { } value) await import.WriteNullAsync(cancellationToken);
                else await import.WriteAsync(value is DateTimeOffset time ? PostgresTime.Of(time) : value, Columns[i].Type, cancellationToken);
            }
        }
        await import.CompleteAsync(cancellationToken);
    }

    private async Task MakeAsync(PostgresSession session, CancellationToken cancellationToken)
    {
        await session.Sql(_create).ExecuteAsync(cancellationToken);
        if (!session.Staged.Add(Sql)) await session.Sql($"TRUNCATE {Sql}").ExecuteAsync(cancellationToken);
    }

    private static string SqlType(NpgsqlDbType type) => type switch
    {
        NpgsqlDbType.Text => "text COLLATE \"C\"",
        NpgsqlDbType.Bigint => "bigint",
        NpgsqlDbType.Integer => "integer",
        NpgsqlDbType.Boolean => "boolean",
        NpgsqlDbType.Double => "double precision",
        NpgsqlDbType.Numeric => "numeric",
        NpgsqlDbType.TimestampTz => "timestamptz",
        NpgsqlDbType.Bytea => "bytea",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "This type has no column yet."),
    };
}
