using System.Text.Json;

namespace MultiAgent.Analytics.Usage;

/// <summary>Takes the values of one usage record after the other; what gets no value is null, or zero where the column has no null.</summary>
internal interface IUsageRow
{
    /// <summary>A new record begins; what an earlier one left half way is forgotten.</summary>
    void Begin();

    /// <param name="column">Position in <see cref="UsageRecordReader.Columns"/>.</param>
    /// <param name="utf8">Points into the batch: valid until <see cref="End"/>.</param>
    void Text(int column, ReadOnlySpan<byte> utf8);

    void Text(int column, string text);

    void Integer(int column, long value);

    void Real(int column, double value);

    /// <summary>The record is whole.</summary>
    void End();
}

/// <summary>
/// Reads usage records from the event's JSON (<see cref="Contracts.Events.UsageBatch"/>) into the rows of a table without making
/// objects of them: metering is on every request, and texts go from UTF-8 to UTF-8. Flags and times are integers (milliseconds), costs are pico dollars.
/// </summary>
internal static class UsageRecordReader
{
    private const decimal PicoPerUsd = 1_000_000_000_000m;

    private static readonly Member[] Members =
    [
        new("id", Kind.Text, true), new("tenant_id", Kind.Text, true), new("api_key_id", Kind.Text), new("user_id", Kind.Text), new("request_id", Kind.Text, true),
        new("run_id", Kind.Text), new("agent", Kind.Text), new("operation", Kind.Text, true), new("requested_model", Kind.Text, true), new("model", Kind.Text, true),
        new("provider", Kind.Text, true), new("input_tokens", Kind.Integer), new("cached_input_tokens", Kind.Integer), new("cache_write_tokens", Kind.Integer),
        new("output_tokens", Kind.Integer), new("reasoning_tokens", Kind.Integer), new("estimated", Kind.Boolean), new("cost_usd", Kind.Cost), new("status", Kind.Text, true),
        new("error_code", Kind.Text), new("stream", Kind.Boolean), new("attempt", Kind.Integer), new("latency_ms", Kind.Real), new("first_token_ms", Kind.OptionalReal), new("at", Kind.Time, true),
    ];

    /// <summary>The columns in the order of the values.</summary>
    public static IReadOnlyList<string> Columns { get; } = [.. Members.Select(m => m.Text == "cost_usd" ? "cost_pico_usd" : m.Text)];

    public static Kind KindOf(int column) => Members[column].Kind;

    /// <summary>True when the column holds zero where a record has no value.</summary>
    public static bool IsNumber(int column) => Members[column].Kind is Kind.Integer or Kind.Boolean or Kind.Real;

    /// <summary>What a column holds.</summary>
    internal enum Kind
    {
        Text,
        Integer,
        Real,
        OptionalReal,
        Boolean,
        Cost,
        Time,
    }

    /// <summary>Reads every record of one batch.</summary>
    /// <exception cref="JsonException">The batch is malformed; records before the fault have been given out.</exception>
    public static void ReadAll<TRow>(ReadOnlySpan<byte> batch, ref TRow row) where TRow : struct, IUsageRow
    {
        var json = new Utf8JsonReader(batch);
        Expect(ref json, JsonTokenType.StartObject);
        Expect(ref json, JsonTokenType.PropertyName);
        if (!json.ValueTextEquals("records"u8)) throw new JsonException("The event holds no usage records.");
        Expect(ref json, JsonTokenType.StartArray);
        while (json.Read() && json.TokenType == JsonTokenType.StartObject) ReadOne(ref json, ref row);
    }

    private static void ReadOne<TRow>(ref Utf8JsonReader json, ref TRow row) where TRow : struct, IUsageRow
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
            if (Members[member].Required) required |= 1u << member;
        }
        for (int i = 0; i < Members.Length; i++)
            if (Members[i].Required && (required & (1u << i)) == 0) throw new JsonException($"A usage record lacks '{Members[i].Text}'.");
        row.End();
    }

    private static void Read<TRow>(ref Utf8JsonReader json, ref TRow row, int column) where TRow : struct, IUsageRow
    {
        Kind kind = Members[column].Kind;
        bool fits = kind switch
        {
            Kind.Text or Kind.Time => json.TokenType == JsonTokenType.String,
            Kind.Boolean => json.TokenType is JsonTokenType.True or JsonTokenType.False,
            _ => json.TokenType == JsonTokenType.Number,
        };
        if (!fits) throw new JsonException($"'{Members[column].Text}' of a usage record is of another type.");
        switch (kind)
        {
            case Kind.Text when !json.ValueIsEscaped:
                row.Text(column, json.ValueSpan);
                break;
            case Kind.Text:
                row.Text(column, json.GetString()!);
                break;
            case Kind.Integer:
                row.Integer(column, json.GetInt64());
                break;
            case Kind.Real or Kind.OptionalReal:
                row.Real(column, json.GetDouble());
                break;
            case Kind.Boolean:
                row.Integer(column, json.GetBoolean() ? 1 : 0);
                break;
            case Kind.Cost:
                row.Integer(column, (long)decimal.Round(json.GetDecimal() * PicoPerUsd));
                break;
            case Kind.Time:
                row.Integer(column, json.GetDateTimeOffset().ToUnixTimeMilliseconds());
                break;
        }
    }

    // Members come in the order in which they are written, some left out: the next one is nearly always near.
    private static int Find(ref Utf8JsonReader json, int next)
    {
        for (int i = 0; i < Members.Length; i++)
        {
            int candidate = (next + i) % Members.Length;
            if (json.ValueTextEquals(Members[candidate].Name)) return candidate;
        }
        return -1;
    }

    private static void Expect(ref Utf8JsonReader json, JsonTokenType type)
    {
        if (!json.Read() || json.TokenType != type) throw new JsonException("The event is not a batch of usage records.");
    }

    private sealed class Member(string name, Kind kind, bool required = false)
    {
        public string Text => name;

        public byte[] Name { get; } = System.Text.Encoding.UTF8.GetBytes(name);

        public Kind Kind => kind;

        public bool Required => required;
    }
}
