using System.Text.Json;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics.Usage;

/// <summary>
/// Carries usage records from the event's JSON (<see cref="Contracts.Events.UsageBatch"/>) into the table without making
/// objects of them: metering is on every request, and texts go from UTF-8 to UTF-8.
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

    private enum Kind
    {
        Text,
        Integer,
        Real,
        OptionalReal,
        Boolean,
        Cost,
        Time,
    }

    /// <summary>The statement that <see cref="InsertAll"/> fills: a parameter per member, in the order of the table above.</summary>
    public const string Insert = """
        INSERT OR IGNORE INTO usage (id, tenant_id, api_key_id, user_id, request_id, run_id, agent, operation, requested_model, model, provider, input_tokens,
            cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, estimated, cost_pico_usd, status, error_code, stream, attempt, latency_ms, first_token_ms, at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)
        """;

    /// <summary>Inserts every record of one batch.</summary>
    /// <exception cref="JsonException">The batch is malformed.</exception>
    public static unsafe void InsertAll(ReadOnlySpan<byte> batch, SqliteStatement insert)
    {
        fixed (byte* pinned = batch) InsertPinned(batch, insert);
    }

    private static void InsertPinned(ReadOnlySpan<byte> batch, SqliteStatement insert)
    {
        var json = new Utf8JsonReader(batch);
        Expect(ref json, JsonTokenType.StartObject);
        Expect(ref json, JsonTokenType.PropertyName);
        if (!json.ValueTextEquals("records"u8)) throw new JsonException("The event holds no usage records.");
        Expect(ref json, JsonTokenType.StartArray);
        while (json.Read() && json.TokenType == JsonTokenType.StartObject) InsertOne(ref json, insert);
    }

    private static void InsertOne(ref Utf8JsonReader json, SqliteStatement insert)
    {
        // A record that failed half way may have left its values.
        insert.Reset();
        for (int i = 0; i < Members.Length; i++) BindDefault(insert, i);
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
            Bind(ref json, insert, member);
            if (Members[member].Required) required |= 1u << member;
        }
        for (int i = 0; i < Members.Length; i++)
            if (Members[i].Required && (required & (1u << i)) == 0) throw new JsonException($"A usage record lacks '{Members[i].Text}'.");
        insert.Execute();
    }

    private static void BindDefault(SqliteStatement insert, int member)
    {
        // Texts and optional numbers are null unless bound.
        if (Members[member].Kind is Kind.Integer or Kind.Boolean or Kind.Real) insert.Bind(member + 1, 0L);
    }

    private static void Bind(ref Utf8JsonReader json, SqliteStatement insert, int member)
    {
        int parameter = member + 1;
        switch (Members[member].Kind)
        {
            case Kind.Text when json.TokenType == JsonTokenType.String && !json.ValueIsEscaped:
                insert.BindPinned(parameter, json.ValueSpan);
                break;
            case Kind.Text:
                insert.Bind(parameter, json.GetString());
                break;
            case Kind.Integer:
                insert.Bind(parameter, json.GetInt64());
                break;
            case Kind.Real or Kind.OptionalReal:
                insert.Bind(parameter, (double?)json.GetDouble());
                break;
            case Kind.Boolean:
                insert.Bind(parameter, json.GetBoolean());
                break;
            case Kind.Cost:
                insert.Bind(parameter, (long)decimal.Round(json.GetDecimal() * PicoPerUsd));
                break;
            case Kind.Time:
                insert.Bind(parameter, json.GetDateTimeOffset());
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
