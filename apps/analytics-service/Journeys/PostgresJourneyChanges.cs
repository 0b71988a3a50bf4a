using System.Text;
using System.Text.Json;
using MultiAgent.Data.Postgres;
using NpgsqlTypes;

namespace MultiAgent.Analytics.Journeys;

/// <summary>
/// Applies many changes of journeys with a few statements: the changes come by COPY into a staging table, and each kind is one statement over it. Of
/// several changes that exclude each other the earliest counts, as if they had come one by one.
/// </summary>
internal sealed class PostgresJourneyChanges
{
    private static readonly StagingTable Stage = new("journey_changes",
    [
        ("seq", NpgsqlDbType.Integer), ("id", NpgsqlDbType.Text), ("tenant_id", NpgsqlDbType.Text), ("journey_id", NpgsqlDbType.Text), ("kind", NpgsqlDbType.Text), ("type", NpgsqlDbType.Text),
        ("user_id", NpgsqlDbType.Text), ("at", NpgsqlDbType.TimestampTz), ("ended_at", NpgsqlDbType.TimestampTz), ("duration_ms", NpgsqlDbType.Double), ("step", NpgsqlDbType.Text),
        ("steps", NpgsqlDbType.Integer), ("outcome", NpgsqlDbType.Text), ("metadata", NpgsqlDbType.Text),
    ]);

    // A typed step makes its journey where the start is still on its way: a client's chat may name one that is not there.
    private static readonly string Start = $"""
        /* all tenants */ INSERT INTO analytics_service.journeys (tenant_id, id, type, user_id, status, started_at, last_seen_at, ended_at, duration_ms, step_count, step_names, metadata)
        SELECT DISTINCT ON (tenant_id, journey_id) tenant_id, journey_id, coalesce(type, ''), user_id, CASE kind WHEN 'recorded' THEN coalesce(outcome, 'completed') ELSE 'active' END, at,
            coalesce(ended_at, at), ended_at, duration_ms, steps, CASE kind WHEN 'recorded' THEN step END, CASE kind WHEN 'step' THEN NULL ELSE metadata END
        FROM {Stage.Sql} WHERE kind IN ('started', 'recorded') OR (kind = 'step' AND type IS NOT NULL) ORDER BY tenant_id, journey_id, seq
        ON CONFLICT DO NOTHING
        """;

    // In one order, so that two replicas that change the same journeys wait for each other instead of for ever.
    private static readonly string Hold = $"""
        /* all tenants */ SELECT 1 FROM analytics_service.journeys j JOIN (SELECT DISTINCT tenant_id, journey_id FROM {Stage.Sql} WHERE kind NOT IN ('started', 'recorded')) c
            ON j.tenant_id = c.tenant_id AND j.id = c.journey_id ORDER BY j.tenant_id, j.id FOR UPDATE OF j
        """;

    private static readonly string Steps = $"""
        /* all tenants */ WITH added AS (
            INSERT INTO analytics_service.journey_steps (tenant_id, journey_id, id, name, at, metadata)
            SELECT s.tenant_id, s.journey_id, s.id, coalesce(s.step, 'step'), s.at, s.metadata FROM {Stage.Sql} s
            WHERE s.kind = 'step' AND EXISTS (SELECT 1 FROM analytics_service.journeys j WHERE j.tenant_id = s.tenant_id AND j.id = s.journey_id)
            ON CONFLICT DO NOTHING RETURNING tenant_id, journey_id, at)
        UPDATE analytics_service.journeys j SET step_count = j.step_count + a.steps, last_seen_at = greatest(j.last_seen_at, a.last)
        FROM (SELECT tenant_id, journey_id, count(*)::integer AS steps, max(at) AS last FROM added GROUP BY tenant_id, journey_id) a WHERE j.tenant_id = a.tenant_id AND j.id = a.journey_id
        """;

    private static readonly string End = $"""
        /* all tenants */ UPDATE analytics_service.journeys j SET status = e.kind, ended_at = e.at, last_seen_at = e.at, duration_ms = extract(epoch FROM e.at - j.started_at) * 1000, reason = e.step
        FROM (SELECT DISTINCT ON (tenant_id, journey_id) tenant_id, journey_id, kind, at, step FROM {Stage.Sql}
            WHERE kind IN ('completed', 'abandoned', 'failed') ORDER BY tenant_id, journey_id, seq) e
        WHERE j.tenant_id = e.tenant_id AND j.id = e.journey_id AND j.status = 'active'
        """;

    private readonly CopyRows _rows;
    private bool _starts;
    private bool _steps;
    private bool _ends;

    private PostgresJourneyChanges(int bytes) => _rows = new CopyRows(bytes + 4096);

    /// <summary>Reads batches of changes.</summary>
    /// <exception cref="JsonException">A batch is malformed.</exception>
    public static PostgresJourneyChanges Read(IReadOnlyList<ReadOnlyMemory<byte>> batches)
    {
        var changes = new PostgresJourneyChanges(batches.Sum(b => b.Length));
        foreach (ReadOnlyMemory<byte> batch in batches)
        {
            var reader = new JourneyChangeReader(batch.Span);
            while (reader.Read()) changes.Add(in reader);
        }
        return changes;
    }

    /// <summary>Applies them inside the session's transaction.</summary>
    public async Task ApplyAsync(PostgresSession session)
    {
        if (_rows.Count == 0) return;
        await Stage.FillAsync(session, _rows);
        var batch = new WriteBatch();
        if (_starts) batch.Add(Start);
        if (_steps || _ends) batch.Add(Hold);
        if (_steps) batch.Add(Steps);
        if (_ends) batch.Add(End);
        await session.ExecuteAllAsync(batch);
    }

    private void Add(in JourneyChangeReader c)
    {
        bool recorded = c.Kind.SequenceEqual("recorded"u8), step = c.Kind.SequenceEqual("step"u8), started = c.Kind.SequenceEqual("started"u8);
        bool ends = c.Kind.SequenceEqual("completed"u8) || c.Kind.SequenceEqual("abandoned"u8) || c.Kind.SequenceEqual("failed"u8);
        if (!recorded && !step && !started && !ends) throw new JsonException($"'{Encoding.UTF8.GetString(c.Kind)}' is not a kind of journey change.");
        _starts |= recorded || started || (step && !c.Type.IsEmpty);
        _steps |= step;
        _ends |= ends;
        _rows.BeginRow(Stage.Columns.Count);
        _rows.Int32(_rows.Count);
        Text(c.Id);
        Text(c.TenantId);
        Text(c.JourneyId);
        Text(c.Kind);
        // What has no type makes no journey; only what is recorded may have an empty one.
        if (step) Text(c.Type);
        else _rows.Text(c.Type);
        Text(c.UserId);
        _rows.Time(c.At);
        if (recorded) _rows.Time(c.At.AddMilliseconds(c.DurationMs ?? 0));
        else _rows.Null();
        if (recorded && c.DurationMs is { } duration) _rows.Double(duration);
        else _rows.Null();
        Text(c.Step);
        _rows.Int32(recorded && !c.Step.IsEmpty ? c.Step.Count((byte)',') + 1 : 0);
        Text(c.Outcome);
        Text(c.Metadata);
    }

    private void Text(ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty) _rows.Null();
        else _rows.Text(utf8);
    }
}
