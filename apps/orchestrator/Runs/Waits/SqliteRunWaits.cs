using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Storage;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>Waits in SQLite.</summary>
internal sealed class SqliteRunWaits([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IRunWaits
{
    private const string Select = """
        SELECT id, tenant_id, run_id, path, kind, state, name, key, role, title, message, form, requested_at, expires_at, escalate_at, escalate_role, resolved_at, resolved_by, decision, comment, data, subject
        FROM run_waits 
        """ + " ";

    // A run, its steps that are runs, and theirs.
    private const string Family = "WITH RECURSIVE family (id) AS (SELECT ?3 UNION SELECT r.id FROM runs r JOIN family f ON r.parent_run_id = f.id WHERE r.tenant_id = ?1) SELECT id FROM family";

    public ValueTask<RunWait?> FindAsync(string tenantId, string id) => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare(Select + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId);
        RunWait? wait = row.Step() ? Read(row) : null;
        row.Reset();
        return wait;
    }));

    public ValueTask<IReadOnlyList<RunWait>> ListHumanAsync(string tenantId, WaitFilter filter, string? beforeId, int limit) => new(database.Read(session => All(session
        .Prepare(Select + "WHERE tenant_id = ?1 AND kind = 'human' AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR run_id IN (" + Family + ")) AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5")
        .Bind(1, tenantId).Bind(2, filter.State is { } state ? WaitNames.Of(state) : null).Bind(3, filter.RunId).Bind(4, beforeId).Bind(5, limit))));

    public ValueTask<IReadOnlyList<RunWait>> OpenAsync(string tenantId, string runId, int limit) => new(database.Read(session => All(session
        .Prepare(Select + "WHERE run_id = ?1 AND tenant_id = ?2 AND state = 'open' ORDER BY id LIMIT ?3").Bind(1, runId).Bind(2, tenantId).Bind(3, limit))));

    public ValueTask<IReadOnlyList<RunWait>> ResolvedAsync(string tenantId, string runId) => new(database.Read(session => All(session
        .Prepare(Select + "WHERE run_id = ?1 AND tenant_id = ?2 AND state = 'resolved' ORDER BY id").Bind(1, runId).Bind(2, tenantId))));

    public Task<ResolveOutcome> ResolveAsync(RunWait wait, WaitResolution resolution) => database.Writer.WriteAsync(session =>
    {
        if (Resolve(session, wait.TenantId, wait.Id, resolution) == 0) return ResolveOutcome.NotOpen;
        Wake(session, wait.TenantId, wait.RunId);
        return ResolveOutcome.Resolved;
    });

    public Task<IReadOnlyList<string>> RaiseAsync(string tenantId, string name, string? key, WaitResolution resolution) => database.Writer.WriteAsync<IReadOnlyList<string>>(session =>
    {
        SqliteStatement find = session.Prepare("SELECT id, run_id FROM run_waits WHERE tenant_id = ?1 AND name = ?2 AND state = 'open' AND kind = 'event' AND (key IS NULL OR key = ?3) ORDER BY id")
            .Bind(1, tenantId).Bind(2, name).Bind(3, key);
        var found = new List<(string Id, string RunId)>();
        while (find.Step()) found.Add((find.Text(0), find.Text(1)));
        foreach ((string id, string runId) in found)
        {
            Resolve(session, tenantId, id, resolution);
            Wake(session, tenantId, runId);
        }
        return [.. found.Select(f => f.RunId)];
    });

    public Task<IReadOnlyList<TakenRun>> TakeDueAsync(string owner, TimeSpan lease, DateTimeOffset now, int limit) => database.Writer.WriteAsync<IReadOnlyList<TakenRun>>(session =>
    {
        SqliteStatement find = session.Prepare("/* all tenants */ " + SqliteRunRows.Select + "WHERE status = 'waiting' AND wake_at IS NOT NULL AND wake_at <= ?1 ORDER BY wake_at LIMIT ?2").Bind(1, now).Bind(2, limit);
        var taken = new List<TakenRun>();
        while (find.Step())
        {
            RunRecord run = SqliteRunRows.Read(find);
            taken.Add(new TakenRun(run with { Status = RunStatus.Running, LeaseOwner = owner, LeaseEpoch = run.LeaseEpoch + 1 }, CancelCauses.Parse(find.TextOrNull(SqliteRunRows.Count)), !find.IsNull(SqliteRunRows.Count + 1)));
        }
        foreach (TakenRun one in taken)
            session.Prepare("UPDATE runs SET status = 'running', wake_at = NULL, lease_owner = ?3, lease_epoch = ?4 WHERE id = ?1 AND tenant_id = ?2")
                .Bind(1, one.Run.Id).Bind(2, one.Run.TenantId).Bind(3, owner).Bind(4, one.Run.LeaseEpoch).Execute();
        return taken;
    });

    public Task<bool> CancelWaitingAsync(string tenantId, string runId, StopCause cause) => database.Writer.WriteAsync(session => session
        .Prepare("UPDATE runs SET cancel_requested = coalesce(cancel_requested, ?3), pause_requested = NULL, status = 'waiting', wake_at = 0 WHERE id = ?1 AND tenant_id = ?2 AND status IN ('waiting', 'paused')")
        .Bind(1, runId).Bind(2, tenantId).Bind(3, CancelCauses.Of(cause)).Execute() > 0);

    public Task<bool> RequestPauseAsync(string tenantId, string runId) => database.Writer.WriteAsync(session => session
        .Prepare("UPDATE runs SET pause_requested = 1, wake_at = CASE status WHEN 'waiting' THEN 0 ELSE wake_at END WHERE id = ?1 AND tenant_id = ?2 AND status IN ('queued', 'running', 'waiting')")
        .Bind(1, runId).Bind(2, tenantId).Execute() > 0);

    public Task<bool> ResumeAsync(string tenantId, string runId) => database.Writer.WriteAsync(session => session
        .Prepare("""
            UPDATE runs SET pause_requested = NULL, status = CASE status WHEN 'paused' THEN 'waiting' ELSE status END, wake_at = CASE status WHEN 'paused' THEN 0 ELSE wake_at END
            WHERE id = ?1 AND tenant_id = ?2 AND (status = 'paused' OR (pause_requested IS NOT NULL AND ended_at IS NULL))
            """).Bind(1, runId).Bind(2, tenantId).Execute() > 0);

    /// <summary>Stores what a write of a run says of its waits. The run's row is held.</summary>
    public static void Write(SqliteSession session, RunWrite write)
    {
        RunRecord run = write.Run;
        foreach (RunWait wait in write.Waits)
        {
            session.Prepare("""
                INSERT INTO run_waits (id, tenant_id, run_id, path, kind, state, name, key, role, title, message, form, requested_at, expires_at, escalate_at, escalate_role, subject)
                VALUES (?1, ?2, ?3, ?4, ?5, 'open', ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
                """)
                .Bind(1, wait.Id).Bind(2, run.TenantId).Bind(3, run.Id).Bind(4, wait.Path).Bind(5, WaitNames.Of(wait.Kind)).Bind(6, wait.Name).Bind(7, wait.Key).Bind(8, wait.Role).Bind(9, wait.Title)
                .Bind(10, wait.Message).Bind(11, wait.Form).Bind(12, wait.RequestedAt).Bind(13, wait.ExpiresAt).Bind(14, wait.EscalateAt).Bind(15, wait.EscalateRole).Bind(16, wait.Subject).Execute();
        }
        foreach (string id in write.ClosedWaits)
            session.Prepare("UPDATE run_waits SET state = CASE state WHEN 'resolved' THEN 'consumed' ELSE 'cancelled' END WHERE id = ?1 AND tenant_id = ?2 AND state IN ('open', 'resolved')")
                .Bind(1, id).Bind(2, run.TenantId).Execute();
        // An agent's run that has never rested has none, or names them itself.
        if (write.End is not null && (run.Kind == RunKind.Workflow || run.LeaseEpoch > 1))
            session.Prepare("UPDATE run_waits SET state = 'cancelled' WHERE run_id = ?1 AND tenant_id = ?2 AND state IN ('open', 'resolved')").Bind(1, run.Id).Bind(2, run.TenantId).Execute();
        // A run that has rested may have made the one that it is a step of rest too.
        if (write.End is { ParentRunId: { } parent, LeaseEpoch: > 1 } end)
        {
            session.Prepare("UPDATE run_waits SET state = 'resolved', resolved_at = ?3, decision = 'ended' WHERE name = ?1 AND tenant_id = ?2 AND state = 'open' AND kind = 'child'")
                .Bind(1, run.Id).Bind(2, run.TenantId).Bind(3, end.EndedAt).Execute();
            Wake(session, run.TenantId, parent);
        }
        // What came in the meantime wakes the run at once.
        if (write.Parks is { } parks)
            session.Prepare("""
                UPDATE runs SET status = CASE WHEN ?11 AND pause_requested IS NOT NULL AND cancel_requested IS NULL THEN 'paused' ELSE 'waiting' END, lease_owner = NULL, steps = ?4, input_tokens = ?5, output_tokens = ?6, cached_input_tokens = ?7, reasoning_tokens = ?8, usage_estimated = ?9, cost_usd = ?10,
                    wake_at = CASE WHEN ?11 AND pause_requested IS NOT NULL AND cancel_requested IS NULL THEN NULL
                        WHEN ?11 OR pause_requested IS NOT NULL OR (cancel_requested IS NOT NULL AND NOT ?12) THEN 0 WHEN EXISTS (SELECT 1 FROM run_waits WHERE run_id = ?1 AND tenant_id = ?2 AND state = 'resolved') THEN 0 ELSE ?3 END
                WHERE id = ?1 AND tenant_id = ?2
                """).Bind(1, run.Id).Bind(2, run.TenantId).Bind(3, parks.WakeAt).Bind(4, parks.Steps).Bind(5, parks.Usage.InputTokens).Bind(6, parks.Usage.OutputTokens)
                .Bind(7, parks.Usage.CachedInputTokens).Bind(8, parks.Usage.ReasoningTokens).Bind(9, parks.Usage.Estimated).Bind(10, parks.CostUsd?.ToString(CultureInfo.InvariantCulture)).Bind(11, parks.Paused).Bind(12, parks.Undoing).Execute();
    }

    private static int Resolve(SqliteSession session, string tenantId, string id, WaitResolution resolution) => session.Prepare("""
        UPDATE run_waits SET state = 'resolved', resolved_at = ?3, resolved_by = ?4, decision = ?5, comment = ?6, data = ?7 WHERE id = ?1 AND tenant_id = ?2 AND state = 'open'
        """).Bind(1, id).Bind(2, tenantId).Bind(3, resolution.At).Bind(4, resolution.By).Bind(5, resolution.Decision).Bind(6, resolution.Comment).Bind(7, resolution.Data).Execute();

    private static void Wake(SqliteSession session, string tenantId, string runId) =>
        session.Prepare("UPDATE runs SET wake_at = 0 WHERE id = ?1 AND tenant_id = ?2 AND status = 'waiting'").Bind(1, runId).Bind(2, tenantId).Execute();

    private static IReadOnlyList<RunWait> All(SqliteStatement rows)
    {
        var waits = new List<RunWait>();
        while (rows.Step()) waits.Add(Read(rows));
        return waits;
    }

    private static RunWait Read(SqliteStatement row) => new()
    {
        Id = row.Text(0),
        TenantId = row.Text(1),
        RunId = row.Text(2),
        Path = row.Text(3),
        Kind = WaitNames.KindOf(row.Text(4)),
        State = WaitNames.StateOf(row.Text(5)),
        Name = row.TextOrNull(6),
        Key = row.TextOrNull(7),
        Role = row.TextOrNull(8),
        Title = row.TextOrNull(9),
        Message = row.TextOrNull(10),
        Form = row.TextOrNull(11),
        RequestedAt = row.Time(12),
        ExpiresAt = row.TimeOrNull(13),
        EscalateAt = row.TimeOrNull(14),
        EscalateRole = row.TextOrNull(15),
        Subject = row.TextOrNull(21),
        Resolution = row.TextOrNull(18) is { } decision ? new WaitResolution(decision, row.TextOrNull(17), row.TextOrNull(19), row.TextOrNull(20), row.Time(16)) : null,
    };
}
