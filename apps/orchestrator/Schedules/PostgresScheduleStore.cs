using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>Schedules in PostgreSQL, shared by all replicas.</summary>
internal sealed class PostgresScheduleStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IScheduleStore
{
    private const string Columns = "s.id, s.tenant_id, s.definition, s.paused, s.next_at, s.due_at, s.last_at, s.revision, s.api_key_id, s.user_id, s.created_at, s.updated_at";
    private const string SelectSchedules = "SELECT " + Columns + " FROM orchestrator.schedules s ";
    private const string FiringColumns = "f.id, f.tenant_id, f.schedule_id, f.fire_at, f.manual, f.state, f.reason, f.try_at, f.created_at";
    private const string SelectFirings = "SELECT " + FiringColumns + " FROM orchestrator.schedule_firings f ";

    private static readonly TenantScope Jobs = TenantScope.System("schedules");

    public Task AddAsync(Schedule schedule) => database.WriteAsync(schedule.TenantId, session => session.Sql("""
        INSERT INTO orchestrator.schedules (id, tenant_id, definition, paused, next_at, due_at, last_at, revision, api_key_id, user_id, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text, $10::text, $11, $12) ON CONFLICT DO NOTHING
        """, schedule.Id, schedule.TenantId, Definition(schedule), schedule.Paused, Time(schedule.NextAt), Time(schedule.DueAt), Time(schedule.LastAt), schedule.Revision, schedule.ApiKeyId, schedule.UserId,
        schedule.CreatedAt, schedule.UpdatedAt).ExecuteAsync());

    public async ValueTask<Schedule?> FindAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectSchedules + "WHERE s.id = $1 AND s.tenant_id = $2", id, tenantId).FirstAsync(Read));

    public async ValueTask<IReadOnlyList<Schedule>> ListAsync(string tenantId, string? beforeId, int limit) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectSchedules + "WHERE s.tenant_id = $1 AND ($2::text IS NULL OR s.id < $2) ORDER BY s.id DESC LIMIT $3", tenantId, PostgresText.Storable(beforeId), limit).ListAsync(Read));

    public Task<bool> UpdateAsync(Schedule schedule) => database.WriteAsync(schedule.TenantId, async session => await session.Sql("""
        UPDATE orchestrator.schedules SET definition = $3, paused = $4, next_at = $5, due_at = $6, revision = $7, updated_at = $8, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND tenant_id = $2 AND revision = $7 - 1
        """, schedule.Id, schedule.TenantId, Definition(schedule), schedule.Paused, Time(schedule.NextAt), Time(schedule.DueAt), schedule.Revision, schedule.UpdatedAt).ExecuteAsync() > 0);

    public Task<bool> DeleteAsync(string tenantId, string id) => database.WriteAsync(tenantId, async session =>
    {
        await session.Sql("DELETE FROM orchestrator.schedule_firings WHERE schedule_id = $1 AND tenant_id = $2", id, tenantId).ExecuteAsync();
        return await session.Sql("DELETE FROM orchestrator.schedules WHERE id = $1 AND tenant_id = $2", id, tenantId).ExecuteAsync() > 0;
    });

    public async Task<IReadOnlyList<Schedule>> ClaimDueAsync(string owner, DateTimeOffset now, TimeSpan lease, int limit)
    {
        // Asked every second by every replica, and nearly always there is nothing to write.
        bool any = await database.ReadAsync(Jobs, session => session.Sql("/* all tenants */ SELECT 1 FROM orchestrator.schedules WHERE due_at <= $1 AND NOT paused AND (lease_until IS NULL OR lease_until <= $1) LIMIT 1", now).FirstAsync(static _ => true));
        if (!any) return [];
        return await database.WriteAsync(Jobs, session => session.Sql($"""
            /* all tenants */ WITH free AS MATERIALIZED (
                SELECT id FROM orchestrator.schedules WHERE due_at <= $1 AND NOT paused AND (lease_until IS NULL OR lease_until <= $1) ORDER BY due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE orchestrator.schedules s SET lease_owner = $3, lease_until = $4 FROM free WHERE s.id = free.id RETURNING {Columns}
            """, now, limit, owner, now + lease).ListAsync(Read));
    }

    public Task<bool> PlanAsync(Schedule schedule, string owner, FiringPlan plan) => database.WriteAsync(schedule.TenantId, async session =>
    {
        int changed = await session.Sql("""
            UPDATE orchestrator.schedules SET next_at = $4, due_at = $5, last_at = $6, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND tenant_id = $2 AND lease_owner = $3 AND revision = $7
            """, schedule.Id, schedule.TenantId, owner, Time(plan.NextAt), Time(plan.DueAt), Time(plan.LastAt), schedule.Revision).ExecuteAsync();
        if (changed == 0) return false;
        var batch = new WriteBatch();
        foreach (Firing firing in plan.Firings) Add(batch, firing);
        await session.ExecuteAllAsync(batch);
        return true;
    });

    public Task AddFiringAsync(Firing firing)
    {
        var batch = new WriteBatch();
        Add(batch, firing);
        return database.Writer.WriteAsync(firing.TenantId, batch);
    }

    public async ValueTask<Firing?> FindFiringAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectFirings + "WHERE f.id = $1 AND f.tenant_id = $2", id, tenantId).FirstAsync(ReadFiring));

    public async ValueTask<IReadOnlyList<Firing>> ListFiringsAsync(string tenantId, string scheduleId, string? beforeId, int limit) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectFirings + "WHERE f.schedule_id = $1 AND f.tenant_id = $2 AND ($3::text IS NULL OR f.id < $3) ORDER BY f.id DESC LIMIT $4", scheduleId, tenantId, PostgresText.Storable(beforeId), limit).ListAsync(ReadFiring));

    public async ValueTask<int> CountPendingAsync(string tenantId, string scheduleId) => await database.ReadAsync(tenantId, session =>
        session.Sql("SELECT count(*)::integer FROM orchestrator.schedule_firings WHERE schedule_id = $1 AND tenant_id = $2 AND state = 'pending'", scheduleId, tenantId).FirstAsync(static row => row.Int32(0)));

    public async Task<IReadOnlyList<Firing>> ClaimFiringsAsync(string owner, DateTimeOffset now, TimeSpan lease, int limit)
    {
        bool any = await database.ReadAsync(Jobs, session => session.Sql("/* all tenants */ SELECT 1 FROM orchestrator.schedule_firings WHERE state = 'pending' AND try_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) LIMIT 1", now).FirstAsync(static _ => true));
        if (!any) return [];
        return await database.WriteAsync(Jobs, session => session.Sql($"""
            /* all tenants */ WITH free AS MATERIALIZED (
                SELECT p.id FROM orchestrator.schedule_firings p WHERE p.state = 'pending' AND p.try_at <= $1 AND (p.lease_until IS NULL OR p.lease_until <= $1)
                    AND (p.manual OR NOT EXISTS (SELECT 1 FROM orchestrator.schedule_firings o WHERE o.schedule_id = p.schedule_id AND o.state = 'pending' AND NOT o.manual AND o.id < p.id))
                ORDER BY p.try_at, p.id LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE orchestrator.schedule_firings f SET lease_owner = $3, lease_until = $4 FROM free WHERE f.id = free.id RETURNING {FiringColumns}
            """, now, limit, owner, now + lease).ListAsync(ReadFiring));
    }

    public Task<bool> CompleteFiringAsync(Firing firing, string owner, FiringState state, string? reason, DateTimeOffset tryAt) => database.WriteAsync(firing.TenantId, async session => await session.Sql("""
        UPDATE orchestrator.schedule_firings SET state = $4, reason = $5::text, try_at = $6, lease_owner = NULL, lease_until = NULL WHERE id = $1 AND tenant_id = $2 AND lease_owner = $3 AND state = 'pending'
        """, firing.Id, firing.TenantId, owner, FiringStates.Of(state), reason, tryAt).ExecuteAsync() > 0);

    public async ValueTask<IReadOnlyList<string>> ActiveRunsAsync(string tenantId, string scheduleId) => await database.ReadAsync(tenantId, session => session.Sql("""
        SELECT r.id FROM orchestrator.schedule_firings f JOIN orchestrator.runs r ON r.id = 'run_' || substr(f.id, 5) AND r.tenant_id = f.tenant_id WHERE f.schedule_id = $1 AND f.tenant_id = $2 AND f.state = 'started' AND r.ended_at IS NULL
        """, scheduleId, tenantId).ListAsync(static row => row.Text(0)));

    public Task<int> PruneAsync(DateTimeOffset before, int batch) => database.WriteAsync(Jobs, session => session.Sql("""
        /* all tenants */ DELETE FROM orchestrator.schedule_firings WHERE id IN (SELECT id FROM orchestrator.schedule_firings WHERE state <> 'pending' AND created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
        """, before, batch).ExecuteAsync());

    private static void Add(WriteBatch batch, Firing firing) => batch.Add("""
        INSERT INTO orchestrator.schedule_firings (id, tenant_id, schedule_id, fire_at, manual, state, reason, try_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
        """, firing.Id, firing.TenantId, firing.ScheduleId, firing.FireAt, firing.Manual, FiringStates.Of(firing.State), new NpgsqlParameter { Value = (object?)firing.Reason ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text },
        firing.TryAt, firing.CreatedAt);

    private static string? Definition(Schedule schedule) => PostgresText.Storable(JsonSerializer.Serialize(schedule.Spec, ScheduleJson.Default.ScheduleSpec));

    private static NpgsqlParameter Time(DateTimeOffset? value) => new() { Value = value is { } time ? PostgresTime.Of(time) : DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz };

    private static Schedule Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0), TenantId = row.Text(1), Spec = JsonSerializer.Deserialize(row.Text(2), ScheduleJson.Default.ScheduleSpec)!, Paused = row.Boolean(3), NextAt = row.TimeOrNull(4), DueAt = row.TimeOrNull(5), LastAt = row.TimeOrNull(6),
        Revision = row.Int64(7), ApiKeyId = row.TextOrNull(8), UserId = row.TextOrNull(9), CreatedAt = row.Time(10), UpdatedAt = row.Time(11),
    };

    private static Firing ReadFiring(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0), TenantId = row.Text(1), ScheduleId = row.Text(2), FireAt = row.Time(3), Manual = row.Boolean(4), State = FiringStates.Parse(row.Text(5)), Reason = row.TextOrNull(6), TryAt = row.Time(7), CreatedAt = row.Time(8),
    };
}
