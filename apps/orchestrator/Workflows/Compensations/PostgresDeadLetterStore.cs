using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Storage;
using Npgsql;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>Dead letters in PostgreSQL.</summary>
internal sealed class PostgresDeadLetterStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IDeadLetterStore
{
    private const string Select = """
        SELECT id, tenant_id, run_id, workflow_id, workflow, workflow_version, path, undo_path, kind, subject, code, message, attempts, status, retries, retry_run_id, by, note, created_at, updated_at
        FROM orchestrator.failed_compensations
        """ + " ";

    public async ValueTask<DeadLetter?> FindAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(Select + "WHERE id = $1 AND tenant_id = $2", PostgresText.Storable(id), tenantId).FirstAsync(Read));

    public async ValueTask<IReadOnlyList<DeadLetter>> ListAsync(string tenantId, DeadLetterFilter filter, string? beforeId, int limit) => await database.ReadAsync(tenantId, session => session.Sql(Select + """
        WHERE tenant_id = $1 AND ($2::text IS NULL OR status = $2) AND ($3::text IS NULL OR workflow = $3) AND ($4::text IS NULL OR run_id = $4) AND ($5::text IS NULL OR id < $5) ORDER BY id DESC LIMIT $6
        """, tenantId, filter.Status is { } status ? DeadLetterNames.Of(status) : null, PostgresText.Storable(filter.Workflow), PostgresText.Storable(filter.RunId), PostgresText.Storable(beforeId), limit).ListAsync(Read));

    public Task<bool> MoveAsync(DeadLetter changed, DeadLetterStatus from, string type, byte[] data) => database.WriteAsync(changed.TenantId, async session =>
    {
        int moved = await session.Sql("UPDATE orchestrator.failed_compensations SET status = $4, retries = $5, retry_run_id = $6, by = $7, note = $8, updated_at = $9 WHERE id = $1 AND tenant_id = $2 AND status = $3",
            changed.Id, changed.TenantId, DeadLetterNames.Of(from), DeadLetterNames.Of(changed.Status), changed.Retries, PostgresRunStatements.Text(changed.RetryRunId), PostgresRunStatements.Text(changed.By),
            PostgresRunStatements.Text(changed.Note), changed.UpdatedAt).ExecuteAsync();
        if (moved == 0) return false;
        // Nobody holds an ended run: its row keeps the numbers of two letters' events apart.
        await session.Sql("SELECT 1 FROM orchestrator.runs WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE", changed.RunId, changed.TenantId).FirstAsync(static _ => true);
        await session.Sql("""
            INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data)
            SELECT $1::text, max(seq) + 1, $2::text, $3::text, $4::timestamptz, $5::bytea FROM orchestrator.run_events WHERE run_id = $1 AND tenant_id = $2 HAVING max(seq) IS NOT NULL
            """, changed.RunId, changed.TenantId, type, changed.UpdatedAt, data).ExecuteAsync();
        return true;
    });

    public Task<int> ReopenAsync(DateTimeOffset before) => database.WriteAsync(TenantScope.System("compensations whose retry was not started"), session => session.Sql("""
        /* all tenants */ UPDATE orchestrator.failed_compensations d SET status = 'open' WHERE status = 'retrying' AND updated_at < $1 AND NOT EXISTS (SELECT 1 FROM orchestrator.runs r WHERE r.id = d.retry_run_id)
        """, before).ExecuteAsync());

    public async ValueTask<long> CountOpenAsync() => await database.ReadAsync(TenantScope.System("compensations that failed"), session => session
        .Sql("/* all tenants */ SELECT count(*) FROM orchestrator.failed_compensations WHERE status = 'open'").FirstAsync(static row => row.Int64(0)));

    /// <summary>Adds what a write of a run says of its dead letters.</summary>
    public static void Write(WriteBatch batch, RunWrite write)
    {
        if (write.DeadLetter is { } letter)
            batch.Add("""
                INSERT INTO orchestrator.failed_compensations (id, tenant_id, run_id, workflow_id, workflow, workflow_version, path, undo_path, kind, subject, code, message, attempts, status, retries, created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'open', 0, $14, $14)
                """, letter.Id, letter.TenantId, letter.RunId, letter.WorkflowId, letter.Workflow, letter.WorkflowVersion, letter.Path, letter.UndoPath, letter.Kind, PostgresText.Storable(letter.Subject), letter.Code,
                PostgresText.Storable(letter.Message), letter.Attempts, letter.CreatedAt);
        if (write.End is not { Surface: RunInput.CompensationSurface } end) return;
        batch.Add("""
            UPDATE orchestrator.failed_compensations SET status = CASE WHEN $3 THEN 'resolved' ELSE 'open' END, attempts = attempts + $4, code = coalesce($5, code), message = coalesce($6, message), updated_at = $7
            WHERE retry_run_id = $1 AND tenant_id = $2 AND status IN ('retrying', 'open')
            """, end.Id, end.TenantId, end.Status == RunStatus.Completed, write.UndoAttempts, PostgresRunStatements.Text(end.Error?.Code), PostgresRunStatements.Text(end.Error?.Message), end.EndedAt!.Value);
    }

    private static DeadLetter Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0), TenantId = row.Text(1), RunId = row.Text(2), WorkflowId = row.Text(3), Workflow = row.Text(4), WorkflowVersion = row.Int32(5), Path = row.Text(6), UndoPath = row.Text(7),
        Kind = row.Text(8), Subject = row.Text(9), Code = row.Text(10), Message = row.Text(11), Attempts = row.Int32(12), Status = DeadLetterNames.TryParse(row.Text(13))!.Value, Retries = row.Int32(14),
        RetryRunId = row.TextOrNull(15), By = row.TextOrNull(16), Note = row.TextOrNull(17), CreatedAt = row.Time(18), UpdatedAt = row.Time(19),
    };
}
