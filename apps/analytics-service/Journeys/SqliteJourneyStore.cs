using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Journeys in SQLite.</summary>
internal sealed class SqliteJourneyStore([FromKeyedServices(AnalyticsModule.Service)] SqliteDatabase database) : IJourneyStore
{
    private const string Columns = "id, type, user_id, status, started_at, last_seen_at, ended_at, duration_ms, step_count, step_names, reason, metadata";

    public Task ApplyAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches) => database.Writer.WriteAsync(session =>
    {
        foreach (ReadOnlyMemory<byte> batch in batches) Apply(session, batch.Span);
    });

    public Task<bool?> TryApplyAsync(JourneyChange change) => TryApplyAsync(change, IJourneyStore.ToBatch([change]));

    private Task<bool?> TryApplyAsync(JourneyChange change, ReadOnlyMemory<byte> batch) => database.Writer.WriteAsync<bool?>(session =>
    {
        SqliteStatement row = session.Prepare("SELECT status FROM journeys WHERE tenant_id = ?1 AND id = ?2").Bind(1, change.TenantId).Bind(2, change.JourneyId);
        string? status = row.Step() ? row.Text(0) : null;
        row.Reset();
        if (status is null) return false;
        if (status != "active") return null;
        Apply(session, batch.Span);
        return true;
    });

    public ValueTask<JourneyItem?> FindAsync(string tenantId, string id) => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare($"SELECT {Columns} FROM journeys WHERE tenant_id = ?1 AND id = ?2").Bind(1, tenantId).Bind(2, id);
        JourneyItem? item = row.Step() ? Read(row) : null;
        row.Reset();
        if (item is null) return null;
        SqliteStatement steps = session.Prepare("SELECT name, at, metadata FROM journey_steps WHERE tenant_id = ?1 AND journey_id = ?2 ORDER BY at, id LIMIT 1000").Bind(1, tenantId).Bind(2, id);
        var list = new List<JourneyStepItem>(item.Steps ?? []);
        while (steps.Step()) list.Add(new JourneyStepItem(steps.Text(0), steps.Time(1), Parse(steps.TextOrNull(2))));
        return item with { Steps = list };
    }));

    public ValueTask<IReadOnlyList<JourneyItem>> ListAsync(JourneyFilter filter, string? before, int limit) => new(database.Read<IReadOnlyList<JourneyItem>>(session =>
    {
        SqliteStatement rows = session.Prepare($"""
            SELECT {Columns} FROM journeys WHERE tenant_id = ?1 AND started_at >= ?2 AND started_at < ?3
                AND (?4 IS NULL OR type = ?4) AND (?5 IS NULL OR status = ?5) AND (?6 IS NULL OR user_id = ?6) AND (?7 IS NULL OR id < ?7) AND id >= ?9
            ORDER BY id DESC LIMIT ?8
            """)
            .Bind(1, filter.TenantId).Bind(2, filter.Range.From).Bind(3, filter.Range.To).Bind(4, filter.Type).Bind(5, filter.Status).Bind(6, filter.UserId).Bind(7, before).Bind(8, limit)
            // A journey is made at or after its start, so none of the range lies below this.
            .Bind(9, Ids.LowerBound("jrn", filter.Range.From));
        var result = new List<JourneyItem>();
        while (rows.Step()) result.Add(Read(rows) with { Steps = null });
        return result;
    }));

    public Task<IReadOnlyList<(string Type, double DurationMs)>> AbandonAsync(DateTimeOffset lastSeenBefore, DateTimeOffset now, int batch) => database.Writer.WriteAsync<IReadOnlyList<(string Type, double DurationMs)>>(session =>
    {
        var ended = new List<(string, double)>();
        SqliteStatement rows = session.Prepare("""
            /* all tenants */ UPDATE journeys SET status = 'abandoned', reason = 'timeout', ended_at = ?2, duration_ms = last_seen_at - started_at
            WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM journeys WHERE status = 'active' AND last_seen_at < ?1 ORDER BY last_seen_at LIMIT ?3) RETURNING type, duration_ms
            """).Bind(1, lastSeenBefore).Bind(2, now).Bind(3, batch);
        while (rows.Step()) ended.Add((rows.Text(0), rows.Double(1)));
        return ended;
    });

    public ValueTask<long> CountActiveAsync() => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare("/* all tenants */ SELECT count(*) FROM journeys WHERE status = 'active'");
        row.Step();
        long count = row.Int64(0);
        row.Reset();
        return count;
    }));

    private static unsafe void Apply(SqliteSession session, ReadOnlySpan<byte> batch)
    {
        fixed (byte* pinned = batch) ApplyPinned(session, batch);
    }

    private static void ApplyPinned(SqliteSession session, ReadOnlySpan<byte> batch)
    {
        var changes = new JourneyChangeReader(batch);
        while (changes.Read()) Apply(session, in changes);
    }

    private static void Apply(SqliteSession session, in JourneyChangeReader c)
    {
        // Empty texts are stored as null.
        switch (c.Kind.SequenceEqual("recorded"u8) ? "recorded" : Encoding.UTF8.GetString(c.Kind))
        {
            case "started":
                session.Prepare("INSERT OR IGNORE INTO journeys (id, tenant_id, type, user_id, status, started_at, last_seen_at, step_count, metadata) VALUES (?1, ?2, ?3, ?4, 'active', ?5, ?5, 0, ?6)")
                    .BindPinned(1, c.JourneyId).BindPinned(2, c.TenantId).BindPinned(3, c.Type).BindPinned(4, c.UserId).Bind(5, c.At).BindPinned(6, c.Metadata).Execute();
                break;
            case "recorded":
                session.Prepare("""
                    INSERT OR IGNORE INTO journeys (id, tenant_id, type, user_id, status, started_at, last_seen_at, ended_at, duration_ms, step_count, step_names, metadata)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9, ?10, ?11)
                    """)
                    .BindPinned(1, c.JourneyId).BindPinned(2, c.TenantId).BindPinned(3, c.Type).BindPinned(4, c.UserId).BindPinned(5, c.Outcome.IsEmpty ? "completed"u8 : c.Outcome).Bind(6, c.At)
                    .Bind(7, c.At.AddMilliseconds(c.DurationMs ?? 0)).Bind(8, c.DurationMs).Bind(9, c.Step.IsEmpty ? 0 : c.Step.Count((byte)',') + 1)
                    .BindPinned(10, c.Step).BindPinned(11, c.Metadata).Execute();
                break;
            case "step":
                // The platform's own steps have a type: where a client names a journey that is not there, its chat begins one.
                if (c.Type.Length > 0)
                {
                    session.Prepare("INSERT OR IGNORE INTO journeys (id, tenant_id, type, user_id, status, started_at, last_seen_at, step_count) VALUES (?1, ?2, ?3, ?4, 'active', ?5, ?5, 0)")
                        .BindPinned(1, c.JourneyId).BindPinned(2, c.TenantId).BindPinned(3, c.Type).BindPinned(4, c.UserId).Bind(5, c.At).Execute();
                }
                int added = session.Prepare("""
                    INSERT OR IGNORE INTO journey_steps (id, tenant_id, journey_id, name, at, metadata)
                    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM journeys WHERE tenant_id = ?2 AND id = ?3)
                    """)
                    .BindPinned(1, c.Id).BindPinned(2, c.TenantId).BindPinned(3, c.JourneyId).BindPinned(4, c.Step.IsEmpty ? "step"u8 : c.Step).Bind(5, c.At).BindPinned(6, c.Metadata).Execute();
                if (added == 0) break;
                session.Prepare("UPDATE journeys SET step_count = step_count + 1, last_seen_at = max(last_seen_at, ?3) WHERE tenant_id = ?1 AND id = ?2")
                    .BindPinned(1, c.TenantId).BindPinned(2, c.JourneyId).Bind(3, c.At).Execute();
                break;
            case "completed" or "abandoned" or "failed":
                session.Prepare("""
                    UPDATE journeys SET status = ?3, ended_at = ?4, last_seen_at = ?4, duration_ms = ?4 - started_at, reason = ?5
                    WHERE tenant_id = ?1 AND id = ?2 AND status = 'active'
                    """)
                    .BindPinned(1, c.TenantId).BindPinned(2, c.JourneyId).BindPinned(3, c.Kind).Bind(4, c.At).BindPinned(5, c.Step).Execute();
                break;
            default:
                throw new JsonException($"'{Encoding.UTF8.GetString(c.Kind)}' is not a kind of journey change.");
        }
    }

    private static JourneyItem Read(SqliteStatement row) => new(row.Text(0), row.Text(1), row.TextOrNull(2), row.Text(3), row.Time(4), row.Time(5), row.TimeOrNull(6), row.DoubleOrNull(7),
        (int)row.Int64(8), row.TextOrNull(10), Parse(row.TextOrNull(11)),
        row.TextOrNull(9)?.Split(',').Select(name => new JourneyStepItem(name, null, null)).ToList());

    private static IReadOnlyDictionary<string, string>? Parse(string? json) =>
        json is null ? null : JsonSerializer.Deserialize(json, JourneyJson.Default.IReadOnlyDictionaryStringString);
}
