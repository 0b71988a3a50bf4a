using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Journeys in PostgreSQL. Lists go to the replica where there is one; a single journey, which its client may just have changed, does not.</summary>
internal sealed class PostgresJourneyStore([FromKeyedServices(AnalyticsModule.Service)] PostgresDatabase database) : IJourneyStore
{
    private const string Columns = "id, type, user_id, status, started_at, last_seen_at, ended_at, duration_ms, step_count, step_names, reason, metadata";

    private static readonly TenantScope Consumer = TenantScope.System("journeys of events"), Sweeper = TenantScope.System("abandoned journeys");

    public Task ApplyAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches)
    {
        PostgresJourneyChanges changes;
        try
        {
            changes = PostgresJourneyChanges.Read(batches);
        }
        catch (Exception e)
        {
            return Task.FromException(e);
        }
        return database.WriteAsync(Consumer, changes.ApplyAsync);
    }

    public Task<bool?> TryApplyAsync(JourneyChange change)
    {
        ReadOnlyMemory<byte> batch = IJourneyStore.ToBatch([change]);
        return database.WriteAsync<bool?>(change.TenantId, async session =>
        {
            string? status = await session.Sql("SELECT status FROM analytics_service.journeys WHERE tenant_id = $1 AND id = $2 FOR UPDATE", change.TenantId, change.JourneyId).FirstAsync(static row => row.Text(0));
            if (status is null) return false;
            if (status != "active") return null;
            await PostgresJourneyChanges.Read([batch]).ApplyAsync(session);
            return true;
        });
    }

    public async ValueTask<JourneyItem?> FindAsync(string tenantId, string id) => await database.ReadAsync(tenantId, async session =>
    {
        JourneyItem? item = await session.Sql($"SELECT {Columns} FROM analytics_service.journeys WHERE tenant_id = $1 AND id = $2", tenantId, id).FirstAsync(Read);
        if (item is null) return null;
        List<JourneyStepItem> steps = await session.Sql("SELECT name, at, metadata FROM analytics_service.journey_steps WHERE tenant_id = $1 AND journey_id = $2 ORDER BY at, id LIMIT 1000", tenantId, id)
            .ListAsync(static row => new JourneyStepItem(row.Text(0), row.Time(1), Parse(row.TextOrNull(2))));
        return item with { Steps = [.. item.Steps ?? [], .. steps] };
    });

    public async ValueTask<IReadOnlyList<JourneyItem>> ListAsync(JourneyFilter filter, string? before, int limit) => await database.ReadReplicaAsync(TenantScope.Of(filter.TenantId), session => session.Sql($"""
        SELECT {Columns} FROM analytics_service.journeys WHERE tenant_id = $1 AND started_at >= $2 AND started_at < $3
            AND ($4::text IS NULL OR type = $4) AND ($5::text IS NULL OR status = $5) AND ($6::text IS NULL OR user_id = $6) AND ($7::text IS NULL OR id < $7) AND id >= $9
        ORDER BY id DESC LIMIT $8
        """, filter.TenantId, filter.Range.From, filter.Range.To, PostgresText.Storable(filter.Type), filter.Status, PostgresText.Storable(filter.UserId), PostgresText.Storable(before), limit,
        // A journey is made at or after its start, so none of the range lies below this.
        Ids.LowerBound("jrn", filter.Range.From)).ListAsync(static row => Read(row) with { Steps = null }));

    public async Task<IReadOnlyList<(string Type, double DurationMs)>> AbandonAsync(DateTimeOffset lastSeenBefore, DateTimeOffset now, int batch) => await database.WriteAsync(Sweeper, session => session.Sql("""
        /* all tenants */ WITH silent AS MATERIALIZED (
            SELECT tenant_id, id FROM analytics_service.journeys WHERE status = 'active' AND last_seen_at < $1 ORDER BY last_seen_at LIMIT $3 FOR UPDATE SKIP LOCKED)
        UPDATE analytics_service.journeys j SET status = 'abandoned', reason = 'timeout', ended_at = $2, duration_ms = extract(epoch FROM j.last_seen_at - j.started_at) * 1000
        FROM silent WHERE j.tenant_id = silent.tenant_id AND j.id = silent.id RETURNING j.type, j.duration_ms
        """, lastSeenBefore, now, batch).ListAsync(static row => (row.Text(0), row.GetDouble(1))));

    public async ValueTask<long> CountActiveAsync() => await database.ReadReplicaAsync(Sweeper, session =>
        session.Sql("/* all tenants */ SELECT count(*) FROM analytics_service.journeys WHERE status = 'active'").FirstAsync(static row => row.Int64(0)));

    private static JourneyItem Read(NpgsqlDataReader row) => new(row.Text(0), row.Text(1), row.TextOrNull(2), row.Text(3), row.Time(4), row.Time(5), row.TimeOrNull(6), row.DoubleOrNull(7),
        row.Int32(8), row.TextOrNull(10), Parse(row.TextOrNull(11)),
        row.TextOrNull(9)?.Split(',').Select(static name => new JourneyStepItem(name, null, null)).ToList());

    private static IReadOnlyDictionary<string, string>? Parse(string? json) =>
        json is null ? null : JsonSerializer.Deserialize(json, JourneyJson.Default.IReadOnlyDictionaryStringString);
}
