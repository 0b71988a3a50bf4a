using System.Text;
using System.Text.Json;

namespace MultiAgent.Analytics.Records;

/// <summary>Takes the values of one record after the other; what gets no value is null, or zero where the column has no null.</summary>
internal interface IRecordRow
{
    /// <summary>A new record begins; what an earlier one left half way is forgotten.</summary>
    void Begin();

    /// <param name="column">Position in <see cref="RecordSchema.Columns"/>.</param>
    /// <param name="utf8">Points into the batch: valid until <see cref="End"/>.</param>
    void Text(int column, ReadOnlySpan<byte> utf8);

    void Text(int column, string text);

    void Integer(int column, long value);

    void Real(int column, double value);

    /// <summary>The record is whole.</summary>
    void End();
}

/// <summary>What a column holds.</summary>
internal enum RecordKind
{
    Text,
    Integer,
    OptionalInteger,
    Real,
    OptionalReal,
    Boolean,
    /// <summary>US dollars in the event, pico dollars in the column.</summary>
    Cost,
    Time,
}

/// <summary>A column, and the member of the event that fills it.</summary>
internal sealed class RecordColumn(string member, RecordKind kind, bool required = false)
{
    public string Member => member;

    public string Name { get; } = kind == RecordKind.Cost ? member.Replace("_usd", "_pico_usd", StringComparison.Ordinal) : member;

    public byte[] Utf8 { get; } = Encoding.UTF8.GetBytes(member);

    public RecordKind Kind => kind;

    public bool IsRequired => required;

    /// <summary>True when the column holds zero where a record has no value.</summary>
    public bool HasZero => kind is RecordKind.Integer or RecordKind.Boolean or RecordKind.Real;
}

/// <summary>
/// Reads the records of batch events (<c>{"records":[…]}</c>) into the rows of a table without making objects of them: they come with every request, and texts
/// go from UTF-8 to UTF-8. Flags and times are integers (milliseconds), costs are pico dollars.
/// </summary>
/// <param name="what">What a record is, for messages.</param>
/// <param name="columns">In the order in which members are written; at most 32.</param>
internal sealed class RecordSchema(string what, params RecordColumn[] columns)
{
    private const decimal PicoPerUsd = 1_000_000_000_000m;

    public IReadOnlyList<RecordColumn> Columns => columns;

    /// <summary>Reads every record of one batch.</summary>
    /// <exception cref="JsonException">The batch is malformed; records before the fault have been given out.</exception>
    public void ReadAll<TRow>(ReadOnlySpan<byte> batch, ref TRow row) where TRow : struct, IRecordRow
    {
        var json = new Utf8JsonReader(batch);
        Expect(ref json, JsonTokenType.StartObject);
        Expect(ref json, JsonTokenType.PropertyName);
        if (!json.ValueTextEquals("records"u8)) throw new JsonException($"The event holds no {what} records.");
        Expect(ref json, JsonTokenType.StartArray);
        while (json.Read() && json.TokenType == JsonTokenType.StartObject) ReadOne(ref json, ref row);
    }

    private void ReadOne<TRow>(ref Utf8JsonReader json, ref TRow row) where TRow : struct, IRecordRow
    {
        row.Begin();
        uint required = 0;
        int next = 0;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            int member = Find(ref json, next);
            json.Read();
            if (member < 0)
            {
                // a member of a newer version
                json.Skip();
                continue;
            }
            next = member + 1;
            if (json.TokenType == JsonTokenType.Null) continue;
            Read(ref json, ref row, member);
            if (columns[member].IsRequired) required |= 1u << member;
        }
        for (int i = 0; i < columns.Length; i++)
            if (columns[i].IsRequired && (required & (1u << i)) == 0) throw new JsonException($"A {what} record lacks '{columns[i].Member}'.");
        row.End();
    }

    private void Read<TRow>(ref Utf8JsonReader json, ref TRow row, int column) where TRow : struct, IRecordRow
    {
        RecordKind kind = columns[column].Kind;
        bool fits = kind switch
        {
            RecordKind.Text or RecordKind.Time => json.TokenType == JsonTokenType.String,
            RecordKind.Boolean => json.TokenType is JsonTokenType.True or JsonTokenType.False,
            _ => json.TokenType == JsonTokenType.Number,
        };
        if (!fits) throw new JsonException($"'{columns[column].Member}' of a {what} record is of another type.");
        switch (kind)
        {
            case RecordKind.Text when !json.ValueIsEscaped:
                row.Text(column, json.ValueSpan);
                break;
            case RecordKind.Text:
                row.Text(column, json.GetString()!);
                break;
            case RecordKind.Integer or RecordKind.OptionalInteger:
                row.Integer(column, json.GetInt64());
                break;
            case RecordKind.Real or RecordKind.OptionalReal:
                row.Real(column, json.GetDouble());
                break;
            case RecordKind.Boolean:
                row.Integer(column, json.GetBoolean() ? 1 : 0);
                break;
            case RecordKind.Cost:
                row.Integer(column, (long)decimal.Round(json.GetDecimal() * PicoPerUsd));
                break;
            case RecordKind.Time:
                row.Integer(column, json.GetDateTimeOffset().ToUnixTimeMilliseconds());
                break;
        }
    }

    // Members come in the order in which they are written, some left out: the next one is nearly always near.
    private int Find(ref Utf8JsonReader json, int next)
    {
        for (int i = 0; i < columns.Length; i++)
        {
            int candidate = (next + i) % columns.Length;
            if (json.ValueTextEquals(columns[candidate].Utf8)) return candidate;
        }
        return -1;
    }

    private void Expect(ref Utf8JsonReader json, JsonTokenType type)
    {
        if (!json.Read() || json.TokenType != type) throw new JsonException($"The event is not a batch of {what} records.");
    }
}
