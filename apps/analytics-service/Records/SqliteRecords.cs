using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics.Records;

/// <summary>Adds the records of events to a table of SQLite.</summary>
internal sealed class SqliteRecords(RecordSchema schema, string table)
{
    private readonly string _insert = $"/* all tenants */ INSERT OR IGNORE INTO {table} ({string.Join(", ", schema.Columns.Select(c => c.Name))}) VALUES ({string.Join(", ", schema.Columns.Select((_, i) => $"?{i + 1}"))})";

    private readonly int[] _zeros = [.. Enumerable.Range(0, schema.Columns.Count).Where(i => schema.Columns[i].HasZero)];

    public Task AddAsync(SqliteDatabase database, IReadOnlyList<ReadOnlyMemory<byte>> batches) => database.Writer.WriteAsync(session =>
    {
        SqliteStatement insert = session.Prepare(_insert);
        foreach (ReadOnlyMemory<byte> batch in batches) InsertAll(insert, batch.Span);
    });

    private unsafe void InsertAll(SqliteStatement insert, ReadOnlySpan<byte> batch)
    {
        // Texts are bound where they lie.
        fixed (byte* pinned = batch)
        {
            var row = new Row(insert, _zeros);
            schema.ReadAll(batch, ref row);
        }
    }

    private readonly struct Row(SqliteStatement insert, int[] zeros) : IRecordRow
    {
        public void Begin()
        {
            // Nothing is left of the record before: a statement is clean after it ran, and when it is prepared again.
            foreach (int column in zeros) insert.Bind(column + 1, 0L);
        }

        public void Text(int column, ReadOnlySpan<byte> utf8) => insert.BindPinned(column + 1, utf8);

        public void Text(int column, string text) => insert.Bind(column + 1, text);

        public void Integer(int column, long value) => insert.Bind(column + 1, value);

        public void Real(int column, double value) => insert.Bind(column + 1, (double?)value);

        public void End() => insert.Execute();
    }
}
