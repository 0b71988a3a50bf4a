using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Workflows.Snapshots;

/// <summary>Snapshots in SQLite.</summary>
internal sealed class SqliteFlowSnapshotStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IFlowSnapshotStore
{
    public ValueTask<FlowSnapshot?> FindAsync(string tenantId, string runId) => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare("SELECT seq, format, data, at FROM run_snapshots WHERE run_id = ?1 AND tenant_id = ?2").Bind(1, runId).Bind(2, tenantId);
        FlowSnapshot? snapshot = row.Step() ? new FlowSnapshot { TenantId = tenantId, RunId = runId, Seq = row.Int64(0), Format = (int)row.Int64(1), Data = row.Bytes(2).ToArray(), At = row.Time(3) } : null;
        row.Reset();
        return snapshot;
    }));

    public Task KeepAsync(FlowSnapshot snapshot) => database.Writer.WriteAsync(session => session.Prepare("""
        INSERT INTO run_snapshots (run_id, tenant_id, seq, format, data, at)
        SELECT id, tenant_id, ?3, ?4, ?5, ?6 FROM runs WHERE id = ?1 AND tenant_id = ?2 AND status IN ('running', 'waiting', 'paused')
        ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq, format = excluded.format, data = excluded.data, at = excluded.at WHERE excluded.seq > run_snapshots.seq OR excluded.format <> run_snapshots.format
        """).Bind(1, snapshot.RunId).Bind(2, snapshot.TenantId).Bind(3, snapshot.Seq).Bind(4, snapshot.Format).BindBlob(5, snapshot.Data).Bind(6, snapshot.At).Execute());

    public static void Drop(SqliteSession session, string tenantId, string runId) =>
        session.Prepare("DELETE FROM run_snapshots WHERE run_id = ?1 AND tenant_id = ?2").Bind(1, runId).Bind(2, tenantId).Execute();
}
