using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>Dead letters in SQLite.</summary>
internal sealed class SqliteDeadLetterStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IDeadLetterStore
{
    private const string Select = """
        SELECT id, tenant_id, run_id, workflow_id, workflow, workflow_version, path, undo_path, kind, subject, code, message, attempts, status, retries, retry_run_id, by, note, created_at, updated_at
        FROM failed_compensations
        """ + " ";

    public ValueTask<DeadLetter?> FindAsync(string tenantId, string id) => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare(Select + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId);
        DeadLetter? letter = row.Step() ? Read(row) : null;
        row.Reset();
        return letter;
    }));

    public ValueTask<IReadOnlyList<DeadLetter>> ListAsync(string tenantId, DeadLetterFilter filter, string? beforeId, int limit) => new(database.Read<IReadOnlyList<DeadLetter>>(session =>
    {
        SqliteStatement rows = session.Prepare(Select + """
            WHERE tenant_id = ?1 AND (?2 IS NULL OR status = ?2) AND (?3 IS NULL OR workflow = ?3) AND (?4 IS NULL OR run_id = ?4) AND (?5 IS NULL OR id < ?5) ORDER BY id DESC LIMIT ?6
            """).Bind(1, tenantId).Bind(2, filter.Status is { } status ? DeadLetterNames.Of(status) : null).Bind(3, filter.Workflow).Bind(4, filter.RunId).Bind(5, beforeId).Bind(6, limit);
        var letters = new List<DeadLetter>();
        while (rows.Step()) letters.Add(Read(rows));
        return letters;
    }));

    public Task<bool> MoveAsync(DeadLetter changed, DeadLetterStatus from, string type, byte[] data) => database.Writer.WriteAsync(session =>
    {
        int moved = session.Prepare("UPDATE failed_compensations SET status = ?4, retries = ?5, retry_run_id = ?6, by = ?7, note = ?8, updated_at = ?9 WHERE id = ?1 AND tenant_id = ?2 AND status = ?3")
            .Bind(1, changed.Id).Bind(2, changed.TenantId).Bind(3, DeadLetterNames.Of(from)).Bind(4, DeadLetterNames.Of(changed.Status)).Bind(5, changed.Retries).Bind(6, changed.RetryRunId)
            .Bind(7, changed.By).Bind(8, changed.Note).Bind(9, changed.UpdatedAt).Execute();
        if (moved == 0) return false;
        session.Prepare("INSERT INTO run_events (run_id, seq, tenant_id, type, at, data) SELECT ?1, max(seq) + 1, ?2, ?3, ?4, ?5 FROM run_events WHERE run_id = ?1 AND tenant_id = ?2 HAVING max(seq) IS NOT NULL")
            .Bind(1, changed.RunId).Bind(2, changed.TenantId).Bind(3, type).Bind(4, changed.UpdatedAt).BindBlob(5, data).Execute();
        return true;
    });

    public Task<int> ReopenAsync(DateTimeOffset before) => database.Writer.WriteAsync(session => session.Prepare("""
        /* all tenants */ UPDATE failed_compensations SET status = 'open' WHERE status = 'retrying' AND updated_at < ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE id = failed_compensations.retry_run_id)
        """).Bind(1, before).Execute());

    public ValueTask<long> CountOpenAsync() => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare("/* all tenants */ SELECT count(*) FROM failed_compensations WHERE status = 'open'");
        row.Step();
        long count = row.Int64(0);
        row.Reset();
        return count;
    }));

    /// <summary>Stores what a write of a run says of its dead letters.</summary>
    public static void Write(SqliteSession session, RunWrite write)
    {
        if (write.DeadLetter is { } letter)
            session.Prepare("""
                INSERT INTO failed_compensations (id, tenant_id, run_id, workflow_id, workflow, workflow_version, path, undo_path, kind, subject, code, message, attempts, status, retries, created_at, updated_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'open', 0, ?14, ?14)
                """)
                .Bind(1, letter.Id).Bind(2, letter.TenantId).Bind(3, letter.RunId).Bind(4, letter.WorkflowId).Bind(5, letter.Workflow).Bind(6, letter.WorkflowVersion).Bind(7, letter.Path).Bind(8, letter.UndoPath)
                .Bind(9, letter.Kind).Bind(10, letter.Subject).Bind(11, letter.Code).Bind(12, letter.Message).Bind(13, letter.Attempts).Bind(14, letter.CreatedAt).Execute();
        if (write.End is not { Surface: RunInput.CompensationSurface } end) return;
        session.Prepare("""
            UPDATE failed_compensations SET status = CASE WHEN ?3 THEN 'resolved' ELSE 'open' END, attempts = attempts + ?4, code = coalesce(?5, code), message = coalesce(?6, message), updated_at = ?7
            WHERE retry_run_id = ?1 AND tenant_id = ?2 AND status IN ('retrying', 'open')
            """)
            .Bind(1, end.Id).Bind(2, end.TenantId).Bind(3, end.Status == RunStatus.Completed).Bind(4, write.UndoAttempts).Bind(5, end.Error?.Code).Bind(6, end.Error?.Message).Bind(7, end.EndedAt).Execute();
    }

    private static DeadLetter Read(SqliteStatement row) => new()
    {
        Id = row.Text(0), TenantId = row.Text(1), RunId = row.Text(2), WorkflowId = row.Text(3), Workflow = row.Text(4), WorkflowVersion = (int)row.Int64(5), Path = row.Text(6), UndoPath = row.Text(7),
        Kind = row.Text(8), Subject = row.Text(9), Code = row.Text(10), Message = row.Text(11), Attempts = (int)row.Int64(12), Status = DeadLetterNames.TryParse(row.Text(13))!.Value, Retries = (int)row.Int64(14),
        RetryRunId = row.TextOrNull(15), By = row.TextOrNull(16), Note = row.TextOrNull(17), CreatedAt = row.Time(18), UpdatedAt = row.Time(19),
    };
}
