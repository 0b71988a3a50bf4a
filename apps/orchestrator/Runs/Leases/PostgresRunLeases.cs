using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Runs.Storage;

namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>
/// Leases in PostgreSQL, by its clock: those of the processes may differ. Statements here wait for no row: one that is locked is being written
/// by its holder, who is therefore alive.
/// </summary>
internal sealed class PostgresRunLeases([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IRunLeases
{
    private static readonly TenantScope Jobs = TenantScope.System("leases of runs");

    public bool IsShared => true;

    public async Task<IReadOnlyList<TakenRun>> TakeUpAsync(string owner, TimeSpan lease, int limit)
    {
        // Asked every second by every replica, and nearly always there is nothing to write.
        bool any = await database.ReadAsync(Jobs, session => session
            .Sql("/* all tenants */ SELECT 1 FROM orchestrator.runs WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < clock_timestamp()) LIMIT 1").FirstAsync(static _ => true));
        if (!any) return [];
        List<TakenRun> taken = await database.WriteAsync(Jobs, session => session.Sql($"""
            /* all tenants */ WITH free AS MATERIALIZED (
                SELECT id FROM orchestrator.runs WHERE status IN ('queued', 'running') AND (lease_until IS NULL OR lease_until < clock_timestamp()) ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE orchestrator.runs r SET lease_owner = $1, lease_until = clock_timestamp() + $2, lease_epoch = r.lease_epoch + 1 FROM free WHERE r.id = free.id
            RETURNING {PostgresRunRows.Columns}, r.cancel_requested, r.pause_requested
            """, owner, lease, limit).ListAsync(static row => new TakenRun(PostgresRunRows.Read(row), CancelCauses.Parse(row.TextOrNull(PostgresRunRows.Count)), row.Boolean(PostgresRunRows.Count + 1))));
        taken.Sort(static (a, b) => string.CompareOrdinal(a.Run.Id, b.Run.Id));
        return taken;
    }

    public Task<IReadOnlySet<string>> RenewAsync(string owner, TimeSpan lease, IReadOnlyList<string> runIds) => database.WriteAsync<IReadOnlySet<string>>(Jobs, async session =>
    {
        string[] ids = [.. runIds];
        await session.Sql("""
            /* all tenants */ WITH held AS MATERIALIZED (
                SELECT id FROM orchestrator.runs WHERE id = ANY ($2::text[]) AND lease_owner = $1 AND status IN ('queued', 'running') FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE orchestrator.runs r SET lease_until = clock_timestamp() + $3 FROM held WHERE r.id = held.id
            """, owner, ids, lease).ExecuteAsync();
        return (await session.Sql("/* all tenants */ SELECT id FROM orchestrator.runs WHERE id = ANY ($2::text[]) AND lease_owner = $1 AND status IN ('queued', 'running')", owner, ids)
            .ListAsync(static row => row.Text(0))).ToHashSet();
    });

    public async Task<IReadOnlyList<RunSignal>> SignalsAsync(string owner, IReadOnlyList<string> waiting) => await database.ReadAsync(Jobs, session => session.Sql("""
        /* all tenants */ SELECT id, status = 'running' AND id = ANY ($2::text[]), cancel_requested, pause_requested FROM orchestrator.runs
        WHERE status IN ('queued', 'running') AND lease_owner = $1 AND (cancel_requested IS NOT NULL OR pause_requested OR (status = 'running' AND id = ANY ($2::text[])))
        """, owner, (string[])[.. waiting]).ListAsync(static row => new RunSignal(row.Text(0), row.Boolean(1), CancelCauses.Parse(row.TextOrNull(2)), row.Boolean(3))));

    public Task<bool> RequestCancelAsync(string tenantId, string runId, StopCause cause) => database.WriteAsync(tenantId, async session => await session.Sql("""
        UPDATE orchestrator.runs SET cancel_requested = coalesce(cancel_requested, $3) WHERE id = $1 AND tenant_id = $2 AND status IN ('queued', 'running')
        """, runId, tenantId, CancelCauses.Of(cause)).ExecuteAsync() > 0);

    public Task ReleaseAsync(string owner) => database.WriteAsync(Jobs, session => session.Sql("""
        /* all tenants */ UPDATE orchestrator.runs SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1 AND status IN ('queued', 'running')
        """, owner).ExecuteAsync());
}
