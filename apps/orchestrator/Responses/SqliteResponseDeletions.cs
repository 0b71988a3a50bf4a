using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>Deletions in SQLite.</summary>
internal sealed class SqliteResponseDeletions([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IResponseDeletions
{
    public Task DeleteAsync(string tenantId, string runId, DateTimeOffset at) => database.Writer.WriteAsync(session => session
        .Prepare("INSERT INTO response_deletions (run_id, tenant_id, deleted_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING").Bind(1, runId).Bind(2, tenantId).Bind(3, at).Execute());

    public ValueTask<bool> IsDeletedAsync(string tenantId, string runId) => new(database.Read(session =>
    {
        SqliteStatement find = session.Prepare("SELECT 1 FROM response_deletions WHERE run_id = ?1 AND tenant_id = ?2").Bind(1, runId).Bind(2, tenantId);
        bool found = find.Step();
        find.Reset();
        return found;
    }));
}
