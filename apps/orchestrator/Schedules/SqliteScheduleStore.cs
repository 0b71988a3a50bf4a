using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>Schedules in SQLite, which one process has for itself.</summary>
internal sealed class SqliteScheduleStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IScheduleStore
{
    private const string SelectSchedules = "SELECT id, tenant_id, definition, paused, next_at, due_at, last_at, revision, api_key_id, user_id, created_at, updated_at FROM schedules ";
    private const string SelectFirings = "SELECT id, tenant_id, schedule_id, fire_at, manual, state, reason, try_at, created_at FROM schedule_firings ";

    public Task AddAsync(Schedule schedule) => database.Writer.WriteAsync(session => session
        .Prepare("INSERT INTO schedules (id, tenant_id, definition, paused, next_at, due_at, last_at, revision, api_key_id, user_id, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING")
        .Bind(1, schedule.Id).Bind(2, schedule.TenantId).Bind(3, JsonSerializer.Serialize(schedule.Spec, ScheduleJson.Default.ScheduleSpec)).Bind(4, schedule.Paused).Bind(5, schedule.NextAt).Bind(6, schedule.DueAt)
        .Bind(7, schedule.LastAt).Bind(8, schedule.Revision).Bind(9, schedule.ApiKeyId).Bind(10, schedule.UserId).Bind(11, schedule.CreatedAt).Bind(12, schedule.UpdatedAt).Execute());

    public ValueTask<Schedule?> FindAsync(string tenantId, string id) => new(database.Read(session => Read(session.Prepare(SelectSchedules + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId)).FirstOrDefault()));

    public ValueTask<IReadOnlyList<Schedule>> ListAsync(string tenantId, string? beforeId, int limit) => new(database.Read<IReadOnlyList<Schedule>>(session =>
        Read(session.Prepare(SelectSchedules + "WHERE tenant_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3").Bind(1, tenantId).Bind(2, beforeId).Bind(3, limit))));

    public Task<bool> UpdateAsync(Schedule schedule) => database.Writer.WriteAsync(session => session
        .Prepare("UPDATE schedules SET definition = ?3, paused = ?4, next_at = ?5, due_at = ?6, revision = ?7, updated_at = ?8, lease_owner = NULL, lease_until = NULL WHERE id = ?1 AND tenant_id = ?2 AND revision = ?7 - 1")
        .Bind(1, schedule.Id).Bind(2, schedule.TenantId).Bind(3, JsonSerializer.Serialize(schedule.Spec, ScheduleJson.Default.ScheduleSpec)).Bind(4, schedule.Paused).Bind(5, schedule.NextAt).Bind(6, schedule.DueAt)
        .Bind(7, schedule.Revision).Bind(8, schedule.UpdatedAt).Execute() > 0);

    public Task<bool> DeleteAsync(string tenantId, string id) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("DELETE FROM schedule_firings WHERE schedule_id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute();
        return session.Prepare("DELETE FROM schedules WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute() > 0;
    });

    public Task<IReadOnlyList<Schedule>> ClaimDueAsync(string owner, DateTimeOffset now, TimeSpan lease, int limit) => database.Writer.WriteAsync<IReadOnlyList<Schedule>>(session =>
    {
        List<Schedule> due = Read(session.Prepare("/* all tenants */ " + SelectSchedules + "WHERE due_at <= ?1 AND paused = 0 AND (lease_until IS NULL OR lease_until <= ?1) ORDER BY due_at LIMIT ?2").Bind(1, now).Bind(2, limit));
        foreach (Schedule s in due)
            session.Prepare("UPDATE schedules SET lease_owner = ?3, lease_until = ?4 WHERE id = ?1 AND tenant_id = ?2").Bind(1, s.Id).Bind(2, s.TenantId).Bind(3, owner).Bind(4, now + lease).Execute();
        return due;
    });

    public Task<bool> PlanAsync(Schedule schedule, string owner, FiringPlan plan) => database.Writer.WriteAsync(session =>
    {
        int changed = session.Prepare("UPDATE schedules SET next_at = ?4, due_at = ?5, last_at = ?6, lease_owner = NULL, lease_until = NULL WHERE id = ?1 AND tenant_id = ?2 AND lease_owner = ?3 AND revision = ?7")
            .Bind(1, schedule.Id).Bind(2, schedule.TenantId).Bind(3, owner).Bind(4, plan.NextAt).Bind(5, plan.DueAt).Bind(6, plan.LastAt).Bind(7, schedule.Revision).Execute();
        if (changed == 0) return false;
        foreach (Firing firing in plan.Firings) Add(session, firing);
        return true;
    });

    public Task AddFiringAsync(Firing firing) => database.Writer.WriteAsync(session => Add(session, firing));

    public ValueTask<Firing?> FindFiringAsync(string tenantId, string id) => new(database.Read(session => ReadFirings(session.Prepare(SelectFirings + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId)).FirstOrDefault()));

    public ValueTask<IReadOnlyList<Firing>> ListFiringsAsync(string tenantId, string scheduleId, string? beforeId, int limit) => new(database.Read<IReadOnlyList<Firing>>(session => ReadFirings(session
        .Prepare(SelectFirings + "WHERE schedule_id = ?1 AND tenant_id = ?2 AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4").Bind(1, scheduleId).Bind(2, tenantId).Bind(3, beforeId).Bind(4, limit))));

    public ValueTask<int> CountPendingAsync(string tenantId, string scheduleId) => new(database.Read(session =>
    {
        SqliteStatement count = session.Prepare("SELECT count(*) FROM schedule_firings WHERE schedule_id = ?1 AND tenant_id = ?2 AND state = 'pending'").Bind(1, scheduleId).Bind(2, tenantId);
        count.Step();
        int pending = (int)count.Int64(0);
        count.Reset();
        return pending;
    }));

    public Task<IReadOnlyList<Firing>> ClaimFiringsAsync(string owner, DateTimeOffset now, TimeSpan lease, int limit) => database.Writer.WriteAsync<IReadOnlyList<Firing>>(session =>
    {
        List<Firing> due = ReadFirings(session.Prepare("""
            /* all tenants */ SELECT f.id, f.tenant_id, f.schedule_id, f.fire_at, f.manual, f.state, f.reason, f.try_at, f.created_at FROM schedule_firings f
            WHERE f.state = 'pending' AND f.try_at <= ?1 AND (f.lease_until IS NULL OR f.lease_until <= ?1)
                AND (f.manual OR NOT EXISTS (SELECT 1 FROM schedule_firings o WHERE o.schedule_id = f.schedule_id AND o.state = 'pending' AND NOT o.manual AND o.id < f.id))
            ORDER BY f.try_at, f.id LIMIT ?2
            """).Bind(1, now).Bind(2, limit));
        foreach (Firing f in due)
            session.Prepare("UPDATE schedule_firings SET lease_owner = ?3, lease_until = ?4 WHERE id = ?1 AND tenant_id = ?2").Bind(1, f.Id).Bind(2, f.TenantId).Bind(3, owner).Bind(4, now + lease).Execute();
        return due;
    });

    public Task<bool> CompleteFiringAsync(Firing firing, string owner, FiringState state, string? reason, DateTimeOffset tryAt) => database.Writer.WriteAsync(session => session
        .Prepare("UPDATE schedule_firings SET state = ?4, reason = ?5, try_at = ?6, lease_owner = NULL, lease_until = NULL WHERE id = ?1 AND tenant_id = ?2 AND lease_owner = ?3 AND state = 'pending'")
        .Bind(1, firing.Id).Bind(2, firing.TenantId).Bind(3, owner).Bind(4, FiringStates.Of(state)).Bind(5, reason).Bind(6, tryAt).Execute() > 0);

    public ValueTask<IReadOnlyList<string>> ActiveRunsAsync(string tenantId, string scheduleId) => new(database.Read<IReadOnlyList<string>>(session =>
    {
        SqliteStatement find = session.Prepare("""
            SELECT r.id FROM schedule_firings f JOIN runs r ON r.id = 'run_' || substr(f.id, 5) AND r.tenant_id = f.tenant_id WHERE f.schedule_id = ?1 AND f.tenant_id = ?2 AND f.state = 'started' AND r.ended_at IS NULL
            """).Bind(1, scheduleId).Bind(2, tenantId);
        var runs = new List<string>();
        while (find.Step()) runs.Add(find.Text(0));
        return runs;
    }));

    public Task<int> PruneAsync(DateTimeOffset before, int batch) => database.Writer.WriteAsync(session => session
        .Prepare("/* all tenants */ DELETE FROM schedule_firings WHERE id IN (SELECT id FROM schedule_firings WHERE state <> 'pending' AND created_at < ?1 LIMIT ?2)").Bind(1, before).Bind(2, batch).Execute());

    private static void Add(SqliteSession session, Firing firing) => session
        .Prepare("INSERT INTO schedule_firings (id, tenant_id, schedule_id, fire_at, manual, state, reason, try_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING")
        .Bind(1, firing.Id).Bind(2, firing.TenantId).Bind(3, firing.ScheduleId).Bind(4, firing.FireAt).Bind(5, firing.Manual).Bind(6, FiringStates.Of(firing.State)).Bind(7, firing.Reason).Bind(8, firing.TryAt).Bind(9, firing.CreatedAt).Execute();

    private static List<Schedule> Read(SqliteStatement row)
    {
        var list = new List<Schedule>();
        while (row.Step())
            list.Add(new Schedule
            {
                Id = row.Text(0), TenantId = row.Text(1), Spec = JsonSerializer.Deserialize(row.Text(2), ScheduleJson.Default.ScheduleSpec)!, Paused = row.Int64(3) != 0, NextAt = row.TimeOrNull(4), DueAt = row.TimeOrNull(5),
                LastAt = row.TimeOrNull(6), Revision = row.Int64(7), ApiKeyId = row.TextOrNull(8), UserId = row.TextOrNull(9), CreatedAt = row.Time(10), UpdatedAt = row.Time(11),
            });
        return list;
    }

    private static List<Firing> ReadFirings(SqliteStatement row)
    {
        var list = new List<Firing>();
        while (row.Step())
            list.Add(new Firing
            {
                Id = row.Text(0), TenantId = row.Text(1), ScheduleId = row.Text(2), FireAt = row.Time(3), Manual = row.Int64(4) != 0, State = FiringStates.Parse(row.Text(5)), Reason = row.TextOrNull(6), TryAt = row.Time(7), CreatedAt = row.Time(8),
            });
        return list;
    }
}
