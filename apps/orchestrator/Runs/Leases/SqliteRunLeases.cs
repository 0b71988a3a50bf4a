using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Runs.Storage;

namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>
/// Leases in SQLite, where one process owns the file: what an earlier process held is free, and nobody else takes what this one holds. The
/// epoch still fences off a process that was started on the same file by mistake.
/// </summary>
internal sealed class SqliteRunLeases([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IRunLeases
{
    public bool IsShared => false;

    public Task<IReadOnlyList<TakenRun>> TakeUpAsync(string owner, TimeSpan lease, int limit) => database.Writer.WriteAsync<IReadOnlyList<TakenRun>>(session =>
    {
        SqliteStatement find = session.Prepare("/* all tenants */ " + SqliteRunRows.Select + "WHERE status IN ('queued', 'running') AND lease_owner IS NOT ?1 ORDER BY id LIMIT ?2").Bind(1, owner).Bind(2, limit);
        var free = new List<(RunRecord Run, bool Pause)>();
        while (find.Step()) free.Add((SqliteRunRows.Read(find), !find.IsNull(SqliteRunRows.Count + 1)));
        var taken = new List<TakenRun>(free.Count);
        foreach ((RunRecord run, bool pause) in free)
        {
            session.Prepare("UPDATE runs SET lease_owner = ?3, lease_epoch = lease_epoch + 1 WHERE id = ?1 AND tenant_id = ?2").Bind(1, run.Id).Bind(2, run.TenantId).Bind(3, owner).Execute();
            taken.Add(new TakenRun(run with { LeaseOwner = owner, LeaseEpoch = run.LeaseEpoch + 1 }, StopCause.None, pause));
        }
        return taken;
    });

    public Task<IReadOnlySet<string>> RenewAsync(string owner, TimeSpan lease, IReadOnlyList<string> runIds) => Task.FromResult<IReadOnlySet<string>>(runIds.ToHashSet());

    public Task<IReadOnlyList<RunSignal>> SignalsAsync(string owner, IReadOnlyList<string> waiting) => Task.FromResult<IReadOnlyList<RunSignal>>([]);

    // All runs are in this process; one that is not is being left for the next start.
    public Task<bool> RequestCancelAsync(string tenantId, string runId, StopCause cause) => Task.FromResult(false);

    public Task ReleaseAsync(string owner) => Task.CompletedTask;
}
