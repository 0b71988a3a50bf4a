using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>Deletions in PostgreSQL.</summary>
internal sealed class PostgresResponseDeletions([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IResponseDeletions
{
    public Task DeleteAsync(string tenantId, string runId, DateTimeOffset at) => database.WriteAsync(tenantId, session => session
        .Sql("INSERT INTO orchestrator.response_deletions (run_id, tenant_id, deleted_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", runId, tenantId, at).ExecuteAsync());

    public async ValueTask<bool> IsDeletedAsync(string tenantId, string runId) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT 1 FROM orchestrator.response_deletions WHERE run_id = $1 AND tenant_id = $2", runId, tenantId).FirstAsync(static _ => true));
}
