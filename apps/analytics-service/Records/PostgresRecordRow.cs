using System.Text;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Analytics.Records;

/// <summary>Puts the values of a record, which come in any order, into a row of COPY, which has them in the order of the columns.</summary>
internal struct PostgresRecordRow(RecordSchema schema, CopyRows rows) : IRecordRow
{
    // Where a text lies in _texts, or a number as it is.
    private readonly Value[] _values = new Value[schema.Columns.Count];
    private byte[] _texts = new byte[2048];
    private int _length;

    public void Begin()
    {
        Array.Clear(_values);
        _length = 0;
    }

    public void Text(int column, ReadOnlySpan<byte> utf8)
    {
        if (_texts.Length - _length < utf8.Length) Array.Resize(ref _texts, Math.Max(_texts.Length * 2, _length + utf8.Length));
        utf8.CopyTo(_texts.AsSpan(_length));
        _values[column] = new Value { Given = true, Number = _length, Bytes = utf8.Length };
        _length += utf8.Length;
    }

    public void Text(int column, string text) => Text(column, Encoding.UTF8.GetBytes(text));

    public readonly void Integer(int column, long value) => _values[column] = new Value { Given = true, Number = value };

    public readonly void Real(int column, double value) => _values[column] = new Value { Given = true, Number = BitConverter.DoubleToInt64Bits(value) };

    public readonly void End()
    {
        rows.BeginRow(_values.Length);
        for (int i = 0; i < _values.Length; i++)
        {
            ref readonly Value value = ref _values[i];
            RecordColumn column = schema.Columns[i];
            RecordKind kind = column.Kind;
            if (!value.Given && !column.HasZero) rows.Null();
            else if (kind == RecordKind.Text)
            {
                // An empty text is none, as in SQLite.
                if (value.Bytes == 0) rows.Null();
                else rows.Text(_texts.AsSpan((int)value.Number, value.Bytes));
            }
            else if (kind == RecordKind.Boolean) rows.Boolean(value.Number != 0);
            else if (kind == RecordKind.Time) rows.Milliseconds(value.Number);
            // Reals are their bits.
            else rows.Int64(value.Number);
        }
    }

    private struct Value
    {
        public bool Given;
        public int Bytes;
        public long Number;
    }
}
