using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Orchestrator.Workflows.Snapshots;

/// <summary>Snapshots in PostgreSQL.</summary>
internal sealed class PostgresFlowSnapshotStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IFlowSnapshotStore
{
    public async ValueTask<FlowSnapshot?> FindAsync(string tenantId, string runId) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT seq, format, data, at FROM orchestrator.run_snapshots WHERE run_id = $1 AND tenant_id = $2", runId, tenantId)
        .FirstAsync(row => new FlowSnapshot { TenantId = tenantId, RunId = runId, Seq = row.Int64(0), Format = row.Int32(1), Data = row.Bytes(2), At = row.Time(3) }));

    // The run is held, so that one that ends meanwhile leaves no snapshot.
    public Task KeepAsync(FlowSnapshot snapshot) => database.WriteAsync(snapshot.TenantId, session => session.Sql("""
        INSERT INTO orchestrator.run_snapshots AS known (run_id, tenant_id, seq, format, data, at)
        SELECT id, tenant_id, $3, $4, $5, $6 FROM (SELECT id, tenant_id FROM orchestrator.runs WHERE id = $1 AND tenant_id = $2 AND status IN ('running', 'waiting', 'paused') FOR SHARE) held
        ON CONFLICT (run_id) DO UPDATE SET seq = excluded.seq, format = excluded.format, data = excluded.data, at = excluded.at WHERE excluded.seq > known.seq OR excluded.format <> known.format
        """, snapshot.RunId, snapshot.TenantId, snapshot.Seq, snapshot.Format, snapshot.Data, PostgresTime.Of(snapshot.At)).ExecuteAsync());

    public static void Drop(WriteBatch batch, string tenantId, string runId) =>
        batch.Add("DELETE FROM orchestrator.run_snapshots WHERE run_id = $1 AND tenant_id = $2", runId, tenantId);
}
