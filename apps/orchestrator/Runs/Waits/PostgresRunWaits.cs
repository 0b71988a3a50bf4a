using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Storage;
using Npgsql;
using NpgsqlTypes;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>
/// Waits in PostgreSQL. Whoever parks a run holds its row and looks for what was resolved; whoever resolves then waits for that row to wake it. So
/// whichever comes second sees the other.
/// </summary>
internal sealed class PostgresRunWaits([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IRunWaits
{
    private const string Select = """
        SELECT id, tenant_id, run_id, path, kind, state, name, key, role, title, message, form, requested_at, expires_at, escalate_at, escalate_role, resolved_at, resolved_by, decision, comment, data, subject
        FROM orchestrator.run_waits 
        """ + " ";

    // A run, its steps that are runs, and theirs.
    private const string Family = """
        WITH RECURSIVE family (id) AS (SELECT $3::text COLLATE "C" UNION SELECT r.id FROM orchestrator.runs r JOIN family f ON r.parent_run_id = f.id WHERE r.tenant_id = $1) SELECT id FROM family
        """;

    // Before any time that a run could wait for.
    private const string Now = "'epoch'::timestamptz";

    private static readonly TenantScope Jobs = TenantScope.System("waking of runs");

    public async ValueTask<RunWait?> FindAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(Select + "WHERE id = $1 AND tenant_id = $2", id, tenantId).FirstAsync(Read));

    public async ValueTask<IReadOnlyList<RunWait>> ListHumanAsync(string tenantId, WaitFilter filter, string? beforeId, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql(Select + "WHERE tenant_id = $1 AND kind = 'human' AND ($2::text IS NULL OR state = $2) AND ($3::text IS NULL OR run_id IN (" + Family + ")) AND ($4::text IS NULL OR id < $4) ORDER BY id DESC LIMIT $5",
            tenantId, filter.State is { } state ? WaitNames.Of(state) : null, PostgresText.Storable(filter.RunId), PostgresText.Storable(beforeId), limit).ListAsync(Read));

    public async ValueTask<IReadOnlyList<RunWait>> OpenAsync(string tenantId, string runId, int limit) => await database.ReadAsync(tenantId, session =>
        session.Sql(Select + "WHERE run_id = $1 AND tenant_id = $2 AND state = 'open' ORDER BY id LIMIT $3", runId, tenantId, limit).ListAsync(Read));

    public async ValueTask<IReadOnlyList<RunWait>> ResolvedAsync(string tenantId, string runId) => await database.ReadAsync(tenantId, session =>
        session.Sql(Select + "WHERE run_id = $1 AND tenant_id = $2 AND state = 'resolved' ORDER BY id", runId, tenantId).ListAsync(Read));

    public Task<ResolveOutcome> ResolveAsync(RunWait wait, WaitResolution resolution) => database.WriteAsync(wait.TenantId, async session =>
    {
        await HoldAsync(session, wait.TenantId, [wait.RunId]);
        if (await ResolveAsync(session, wait.TenantId, [wait.Id], resolution) == 0) return ResolveOutcome.NotOpen;
        await WakeAsync(session, wait.TenantId, [wait.RunId]);
        return ResolveOutcome.Resolved;
    });

    public Task<IReadOnlyList<string>> RaiseAsync(string tenantId, string name, string? key, WaitResolution resolution) => database.WriteAsync<IReadOnlyList<string>>(tenantId, async session =>
    {
        List<(string Id, string RunId)> found = await session.Sql("""
            SELECT id, run_id FROM orchestrator.run_waits WHERE tenant_id = $1 AND name = $2 AND state = 'open' AND kind = 'event' AND (key IS NULL OR key = $3::text) ORDER BY id
            """, tenantId, PostgresText.Storable(name), PostgresText.Storable(key)).ListAsync(static row => (row.Text(0), row.Text(1)));
        if (found.Count == 0) return [];
        string[] runs = [.. found.Select(f => f.RunId)];
        await HoldAsync(session, tenantId, runs);
        await ResolveAsync(session, tenantId, [.. found.Select(f => f.Id)], resolution);
        await WakeAsync(session, tenantId, runs);
        return runs;
    });

    public async Task<IReadOnlyList<TakenRun>> TakeDueAsync(string owner, TimeSpan lease, DateTimeOffset now, int limit)
    {
        // Asked often by every replica, and mostly in vain.
        bool any = await database.ReadAsync(Jobs, session => session
            .Sql("/* all tenants */ SELECT 1 FROM orchestrator.runs WHERE status = 'waiting' AND wake_at <= $1 LIMIT 1", now).FirstAsync(static _ => true));
        if (!any) return [];
        return await database.WriteAsync(Jobs, session => session.Sql($"""
            /* all tenants */ WITH due AS MATERIALIZED (
                SELECT id FROM orchestrator.runs WHERE status = 'waiting' AND wake_at <= $4 ORDER BY wake_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
            UPDATE orchestrator.runs r SET status = 'running', wake_at = NULL, lease_owner = $1, lease_until = clock_timestamp() + $2, lease_epoch = r.lease_epoch + 1 FROM due WHERE r.id = due.id
            RETURNING {PostgresRunRows.Columns}, r.cancel_requested, r.pause_requested
            """, owner, lease, limit, now).ListAsync(static row => new TakenRun(PostgresRunRows.Read(row), CancelCauses.Parse(row.TextOrNull(PostgresRunRows.Count)), row.Boolean(PostgresRunRows.Count + 1))));
    }

    public Task<bool> CancelWaitingAsync(string tenantId, string runId, StopCause cause) => database.WriteAsync(tenantId, async session => await session.Sql($"""
        UPDATE orchestrator.runs SET cancel_requested = coalesce(cancel_requested, $3), pause_requested = false, status = 'waiting', wake_at = {Now} WHERE id = $1 AND tenant_id = $2 AND status IN ('waiting', 'paused')
        """, runId, tenantId, CancelCauses.Of(cause)).ExecuteAsync() > 0);

    public Task<bool> RequestPauseAsync(string tenantId, string runId) => database.WriteAsync(tenantId, async session => await session.Sql($"""
        UPDATE orchestrator.runs SET pause_requested = true, wake_at = CASE status WHEN 'waiting' THEN {Now} ELSE wake_at END WHERE id = $1 AND tenant_id = $2 AND status IN ('queued', 'running', 'waiting')
        """, runId, tenantId).ExecuteAsync() > 0);

    public Task<bool> ResumeAsync(string tenantId, string runId) => database.WriteAsync(tenantId, async session => await session.Sql($"""
        UPDATE orchestrator.runs SET pause_requested = false, status = CASE status WHEN 'paused' THEN 'waiting' ELSE status END, wake_at = CASE status WHEN 'paused' THEN {Now} ELSE wake_at END
        WHERE id = $1 AND tenant_id = $2 AND (status = 'paused' OR (pause_requested AND ended_at IS NULL))
        """, runId, tenantId).ExecuteAsync() > 0);

    /// <summary>Adds what a write of a run says of its waits. The run's row is held.</summary>
    public static void Write(WriteBatch batch, RunWrite write)
    {
        RunRecord run = write.Run;
        foreach (RunWait wait in write.Waits)
        {
            batch.Add("""
                INSERT INTO orchestrator.run_waits (id, tenant_id, run_id, path, kind, state, name, key, role, title, message, form, requested_at, expires_at, escalate_at, escalate_role, subject)
                VALUES ($1, $2, $3, $4, $5, 'open', $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
                """, wait.Id, run.TenantId, run.Id, wait.Path, WaitNames.Of(wait.Kind), Text(wait.Name), Text(wait.Key), Text(wait.Role), Text(wait.Title), Text(wait.Message), Text(wait.Form),
                wait.RequestedAt, PostgresRunStatements.Time(wait.ExpiresAt), PostgresRunStatements.Time(wait.EscalateAt), Text(wait.EscalateRole), Text(wait.Subject));
        }
        if (write.ClosedWaits.Count > 0)
            batch.Add("UPDATE orchestrator.run_waits SET state = CASE state WHEN 'resolved' THEN 'consumed' ELSE 'cancelled' END WHERE id = ANY ($1::text[]) AND tenant_id = $2 AND state IN ('open', 'resolved')",
                (string[])[.. write.ClosedWaits], run.TenantId);
        // An agent's run that has never rested has none, or names them itself.
        if (write.End is not null && (run.Kind == RunKind.Workflow || run.LeaseEpoch > 1))
            batch.Add("UPDATE orchestrator.run_waits SET state = 'cancelled' WHERE run_id = $1 AND tenant_id = $2 AND state IN ('open', 'resolved')", run.Id, run.TenantId);
        if (write.End is { ParentRunId: { } parent, LeaseEpoch: > 1 } end)
        {
            batch.Add("UPDATE orchestrator.run_waits SET state = 'resolved', resolved_at = $3, decision = 'ended' WHERE name = $1 AND tenant_id = $2 AND state = 'open' AND kind = 'child'", run.Id, run.TenantId, PostgresRunStatements.Time(end.EndedAt));
            batch.Add($"UPDATE orchestrator.runs SET wake_at = {Now} WHERE id = $1 AND tenant_id = $2 AND status = 'waiting'", parent, run.TenantId);
        }
        if (write.Parks is { } parks)
            batch.Add($"""
                UPDATE orchestrator.runs SET status = CASE WHEN $11 AND pause_requested AND cancel_requested IS NULL THEN 'paused' ELSE 'waiting' END, lease_owner = NULL, lease_until = NULL, steps = $4, input_tokens = $5, output_tokens = $6, cached_input_tokens = $7, reasoning_tokens = $8,
                    usage_estimated = $9, cost_usd = $10,
                    wake_at = CASE WHEN $11 AND pause_requested AND cancel_requested IS NULL THEN NULL
                        WHEN $11 OR pause_requested OR (cancel_requested IS NOT NULL AND NOT $12) THEN {Now} WHEN EXISTS (SELECT 1 FROM orchestrator.run_waits WHERE run_id = $1 AND tenant_id = $2 AND state = 'resolved') THEN {Now} ELSE $3 END
                WHERE id = $1 AND tenant_id = $2
                """, run.Id, run.TenantId, PostgresRunStatements.Time(parks.WakeAt), parks.Steps, parks.Usage.InputTokens, parks.Usage.OutputTokens, parks.Usage.CachedInputTokens, parks.Usage.ReasoningTokens,
                parks.Usage.Estimated, new NpgsqlParameter { Value = (object?)parks.CostUsd ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Numeric }, parks.Paused, parks.Undoing);
    }

    private static NpgsqlParameter Text(string? value) => PostgresRunStatements.Text(value);

    private static Task HoldAsync(PostgresSession session, string tenantId, string[] runs) =>
        session.Sql("SELECT 1 FROM orchestrator.runs WHERE id = ANY ($1::text[]) AND tenant_id = $2 ORDER BY id FOR NO KEY UPDATE", runs, tenantId).ListAsync(static _ => true);

    private static Task<int> ResolveAsync(PostgresSession session, string tenantId, string[] ids, WaitResolution resolution) => session.Sql("""
        UPDATE orchestrator.run_waits SET state = 'resolved', resolved_at = $3, resolved_by = $4::text, decision = $5, comment = $6::text, data = $7::text
        WHERE id = ANY ($1::text[]) AND tenant_id = $2 AND state = 'open'
        """, ids, tenantId, resolution.At, PostgresText.Storable(resolution.By), resolution.Decision, PostgresText.Storable(resolution.Comment), PostgresText.Storable(resolution.Data)).ExecuteAsync();

    private static Task WakeAsync(PostgresSession session, string tenantId, string[] runs) =>
        session.Sql($"UPDATE orchestrator.runs SET wake_at = {Now} WHERE id = ANY ($1::text[]) AND tenant_id = $2 AND status = 'waiting'", runs, tenantId).ExecuteAsync();

    private static RunWait Read(NpgsqlDataReader row) => new()
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
