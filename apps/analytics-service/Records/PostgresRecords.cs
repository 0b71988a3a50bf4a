using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using NpgsqlTypes;

namespace MultiAgent.Analytics.Records;

/// <summary>Adds the records of events to a table of PostgreSQL by COPY.</summary>
internal sealed class PostgresRecords(RecordSchema schema, string table, string reason)
{
    private readonly TenantScope _consumer = TenantScope.System(reason);
    private readonly CopyTable _table = new(table, [.. schema.Columns.Select(c => (c.Name, TypeOf(c.Kind)))], orderBy: "tenant_id, at, id");

    public Task AddAsync(PostgresDatabase database, IReadOnlyList<ReadOnlyMemory<byte>> batches)
    {
        // Made before the transaction, so that it is short, and what is malformed never begins one.
        var rows = new CopyRows(batches.Sum(b => b.Length) + 4096);
        try
        {
            var row = new PostgresRecordRow(schema, rows);
            foreach (ReadOnlyMemory<byte> batch in batches) schema.ReadAll(batch.Span, ref row);
        }
        catch (Exception e)
        {
            return Task.FromException(e);
        }
        return rows.Count == 0 ? Task.CompletedTask : database.WriteAsync(_consumer, session => _table.InsertAsync(session, rows));
    }

    private static NpgsqlDbType TypeOf(RecordKind kind) => kind switch
    {
        RecordKind.Text => NpgsqlDbType.Text,
        RecordKind.Real or RecordKind.OptionalReal => NpgsqlDbType.Double,
        RecordKind.Boolean => NpgsqlDbType.Boolean,
        RecordKind.Time => NpgsqlDbType.TimestampTz,
        _ => NpgsqlDbType.Bigint,
    };
}
