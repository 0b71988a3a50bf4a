using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows.Compensations;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Runs.Storage;

/// <summary>Runs in SQLite. Writes of many runs share a commit.</summary>
internal sealed class SqliteRunStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IRunStore
{
    public Task<AcceptOutcome> AcceptAsync(NewRun run) => database.Writer.WriteAsync(session => Accept(session, run));

    public Task AppendAsync(RunWrite write) => database.Writer.WriteAsync(session => Write(session, write));

    public Task<StartedNext?> StartNextAsync(string tenantId, string conversationId, DateTimeOffset now) => database.Writer.WriteAsync(session =>
    {
        SqliteStatement find = session.Prepare("SELECT id, status, lease_owner FROM runs WHERE conversation_id = ?1 AND tenant_id = ?2 AND status IN ('queued', 'running', 'waiting', 'paused') ORDER BY position");
        find.Bind(1, conversationId).Bind(2, tenantId);
        StartedNext? next = null;
        while (find.Step())
        {
            if (find.Text(1) != "queued")
            {
                find.Reset();
                return null;
            }
            next ??= new StartedNext(find.Text(0), find.TextOrNull(2));
        }
        if (next is not null) session.Prepare("UPDATE runs SET status = 'running', started_at = ?2 WHERE id = ?1 AND tenant_id = ?3").Bind(1, next.RunId).Bind(2, now).Bind(3, tenantId).Execute();
        return next;
    });

    public Task<bool> CancelQueuedAsync(RunWrite write) => database.Writer.WriteAsync(session =>
    {
        SqliteStatement find = session.Prepare("SELECT 1 FROM runs WHERE id = ?1 AND tenant_id = ?2 AND status = 'queued'").Bind(1, write.Run.Id).Bind(2, write.Run.TenantId);
        bool queued = find.Step();
        find.Reset();
        if (!queued) return false;
        End(session, write.End!);
        Append(session, write);
        return true;
    });

    public ValueTask<RunRecord?> FindAsync(string tenantId, string runId) => new(database.Read(session =>
        SqliteRunRows.Single(session.Prepare(SqliteRunRows.Select + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, runId).Bind(2, tenantId))));

    public ValueTask<RunRecord?> FindByKeyAsync(string tenantId, string idempotencyKey) => new(database.Read(session => ByKey(session, tenantId, idempotencyKey)));

    public ValueTask<IReadOnlyList<RunEvent>> EventsAsync(string tenantId, string runId, long afterSeq, int limit) => new(database.Read<IReadOnlyList<RunEvent>>(session =>
    {
        SqliteStatement read = session.Prepare("SELECT seq, type, at, data FROM run_events WHERE run_id = ?1 AND seq > ?2 AND tenant_id = ?3 ORDER BY seq LIMIT ?4")
            .Bind(1, runId).Bind(2, afterSeq).Bind(3, tenantId).Bind(4, limit);
        var events = new List<RunEvent>();
        while (read.Step()) events.Add(new RunEvent { Seq = read.Int64(0), Type = read.Text(1), At = read.Time(2), Data = read.Bytes(3).ToArray() });
        return events;
    }));

    public ValueTask<long> LastSeqAsync(string tenantId, string runId) => new(database.Read(session =>
    {
        SqliteStatement read = session.Prepare("SELECT seq FROM run_events WHERE run_id = ?1 AND tenant_id = ?2 ORDER BY seq DESC LIMIT 1").Bind(1, runId).Bind(2, tenantId);
        long seq = read.Step() ? read.Int64(0) : 0;
        read.Reset();
        return seq;
    }));

    public ValueTask<byte[]?> LastEventAsync(string tenantId, string runId, string type) => new(database.Read(session =>
    {
        SqliteStatement read = session.Prepare("SELECT data FROM run_events WHERE run_id = ?1 AND tenant_id = ?2 AND type = ?3 ORDER BY seq DESC LIMIT 1")
            .Bind(1, runId).Bind(2, tenantId).Bind(3, type);
        byte[]? data = read.Step() ? read.Bytes(0).ToArray() : null;
        read.Reset();
        return data;
    }));

    public ValueTask<IReadOnlyList<RunRecord>> ListAsync(string tenantId, RunFilter filter, string? beforeId, int limit) => new(database.Read(session => SqliteRunRows.All(session.Prepare(SqliteRunRows.Select + """
        WHERE tenant_id = ?1 AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR status = ?3) AND (?4 IS NULL OR agent = ?4) AND (?5 IS NULL OR conversation_id = ?5)
            AND parent_run_id IS ?7 AND (?8 IS NULL OR kind = ?8)
        ORDER BY id DESC LIMIT ?6
        """).Bind(1, tenantId).Bind(2, beforeId).Bind(3, filter.Status is { } status ? RunStatusNames.Of(status) : null).Bind(4, filter.Agent).Bind(5, filter.ConversationId).Bind(6, limit)
        .Bind(7, filter.ParentRunId).Bind(8, filter.Kind is { } kind ? RunKindNames.Of(kind) : null))));

    public ValueTask<StoredHistory> HistoryAsync(string tenantId, string conversationId, string exceptRunId, int limit) => new(database.Read(session =>
    {
        SqliteStatement find = session.Prepare("SELECT through_position, text FROM conversation_summaries WHERE conversation_id = ?1 AND tenant_id = ?2 AND run_id <> ?3 ORDER BY through_position DESC, id DESC LIMIT 1")
            .Bind(1, conversationId).Bind(2, tenantId).Bind(3, exceptRunId);
        (long through, string? summary) = find.Step() ? (find.Int64(0), find.Text(1)) : (0, null);
        find.Reset();
        SqliteStatement read = session.Prepare("SELECT position, wire FROM messages WHERE conversation_id = ?1 AND tenant_id = ?2 AND run_id <> ?3 AND position > ?5 ORDER BY position DESC LIMIT ?4")
            .Bind(1, conversationId).Bind(2, tenantId).Bind(3, exceptRunId).Bind(4, limit).Bind(5, through);
        var messages = new List<StoredMessage>();
        while (read.Step()) messages.Add(new StoredMessage(read.Int64(0), read.Bytes(1).ToArray()));
        messages.Reverse();
        return new StoredHistory(summary, messages);
    }));

    public Task<int> ForgetKeysAsync(DateTimeOffset before, int batch) => database.Writer.WriteAsync(session => session.Prepare("""
        /* all tenants */ UPDATE runs SET idempotency_key = NULL, request_hash = NULL
        WHERE position IN (SELECT position FROM runs WHERE idempotency_key IS NOT NULL AND created_at < ?1 LIMIT ?2)
        """).Bind(1, before).Bind(2, batch).Execute());

    private static void Write(SqliteSession session, RunWrite write)
    {
        if (write.End is { } end) End(session, end);
        else Hold(session, write.Run);
        Append(session, write);
        foreach (RunWrite step in write.Ends) Write(session, step);
    }

    private static AcceptOutcome Accept(SqliteSession session, NewRun run)
    {
        RunRecord record = run.Record;
        if (record.IdempotencyKey is { } key && ByKey(session, record.TenantId, key) is { } existing)
            return existing.RequestHash == record.RequestHash ? new AcceptOutcome.Existing(existing) : new AcceptOutcome.KeyReused();

        var superseded = new List<string>();
        bool waits = false;
        if (run.CreateConversation)
        {
            session.Prepare("INSERT INTO conversations (id, tenant_id, agent, title, user_id, api_key_id, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)")
                .Bind(1, record.ConversationId).Bind(2, record.TenantId).Bind(3, record.Agent).Bind(4, run.Title).Bind(5, record.UserId).Bind(6, record.ApiKeyId).Bind(7, record.CreatedAt).Execute();
        }
        else if (record.ConversationId is { } conversationId)
        {
            int found = session.Prepare("UPDATE conversations SET updated_at = ?3, title = coalesce(title, ?4), agent = coalesce(agent, ?5) WHERE id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL AND handled_by IS NULL")
                .Bind(1, conversationId).Bind(2, record.TenantId).Bind(3, record.CreatedAt).Bind(4, run.Title).Bind(5, record.Agent).Execute();
            if (found == 0) return IsHandled(session, record) ? new AcceptOutcome.HandledByPerson() : new AcceptOutcome.ConversationNotFound();
            SqliteStatement active = session.Prepare("SELECT id FROM runs WHERE conversation_id = ?1 AND tenant_id = ?2 AND status IN ('queued', 'running', 'waiting', 'paused') ORDER BY position").Bind(1, conversationId).Bind(2, record.TenantId);
            while (active.Step()) superseded.Add(active.Text(0));
            waits = superseded.Count > 0;
            if (waits && run.OnBusy == BusyPolicy.Reject) return new AcceptOutcome.Busy(superseded[0]);
            if (superseded.Count > run.MaxQueued) return new AcceptOutcome.QueueFull();
        }
        if (run.ParentWrite is { } parent) Write(session, parent);
        Insert(session, record, waits ? RunStatus.Queued : RunStatus.Running);
        Append(session, record, run.Accepted, []);
        foreach (BlackboardWrite write in run.Board) SqliteBlackboardStore.Insert(session, write);
        if (!waits) Append(session, record, run.Started, run.Messages);
        if (!waits) return AcceptOutcome.Started.Instance;
        return new AcceptOutcome.Queued(run.OnBusy is BusyPolicy.Interrupt or BusyPolicy.Rollback ? superseded : []);
    }

    private static bool IsHandled(SqliteSession session, RunRecord run)
    {
        SqliteStatement find = session.Prepare("SELECT 1 FROM conversations WHERE id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL").Bind(1, run.ConversationId).Bind(2, run.TenantId);
        bool there = find.Step();
        find.Reset();
        return there;
    }

    private static RunRecord? ByKey(SqliteSession session, string tenantId, string key) =>
        SqliteRunRows.Single(session.Prepare(SqliteRunRows.Select + "WHERE tenant_id = ?1 AND idempotency_key = ?2").Bind(1, tenantId).Bind(2, key));

    private static void Insert(SqliteSession session, RunRecord run, RunStatus status) => session.Prepare("""
        INSERT INTO runs (id, tenant_id, conversation_id, agent_id, agent, agent_version, surface, status, idempotency_key, request_hash, request_id,
            api_key_id, user_id, journey_id, trace_parent, metadata, created_at, started_at, lease_owner, lease_epoch, kind, parent_run_id)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)
        """)
        .Bind(1, run.Id).Bind(2, run.TenantId).Bind(3, run.ConversationId).Bind(4, run.AgentId).Bind(5, run.Agent).Bind(6, run.AgentVersion).Bind(7, run.Surface)
        .Bind(8, RunStatusNames.Of(status)).Bind(9, run.IdempotencyKey).Bind(10, run.RequestHash).Bind(11, run.RequestId).Bind(12, run.ApiKeyId).Bind(13, run.UserId)
        .Bind(14, run.JourneyId).Bind(15, run.TraceParent).Bind(16, run.Metadata).Bind(17, run.CreatedAt).Bind(18, status == RunStatus.Running ? run.CreatedAt : null).Bind(19, run.LeaseOwner).Bind(20, run.LeaseEpoch)
        .Bind(21, RunKindNames.Of(run.Kind)).Bind(22, run.ParentRunId)
        .Execute();

    private static void End(SqliteSession session, RunRecord run)
    {
        int changed = session.Prepare("""
            UPDATE runs SET status = ?2, reason = ?3, error_status = ?4, error_code = ?5, error_message = ?6, steps = ?7, input_tokens = ?8, output_tokens = ?9,
                cost_usd = ?10, ended_at = ?11, cached_input_tokens = ?13, reasoning_tokens = ?14, usage_estimated = ?16, output = ?18,
                idempotency_key = CASE WHEN ?15 THEN NULL ELSE idempotency_key END WHERE id = ?1 AND tenant_id = ?12 AND status IN ('queued', 'running') AND lease_epoch = ?17
            """)
            .Bind(1, run.Id).Bind(2, RunStatusNames.Of(run.Status)).Bind(3, run.Reason).Bind(4, (long?)run.Error?.Status).Bind(5, run.Error?.Code).Bind(6, run.Error?.Message)
            .Bind(7, run.Steps).Bind(8, run.Usage.InputTokens).Bind(9, run.Usage.OutputTokens).Bind(10, run.CostUsd?.ToString(CultureInfo.InvariantCulture)).Bind(11, run.EndedAt).Bind(12, run.TenantId)
            .Bind(13, run.Usage.CachedInputTokens).Bind(14, run.Usage.ReasoningTokens).Bind(16, run.Usage.Estimated)
            // A repetition may do better, and is a run of its own.
            .Bind(15, run.Error is { Status: >= 500 or 408 or 429 }).Bind(17, run.LeaseEpoch).BindBlob(18, run.Output).Execute();
        if (changed == 0) throw new LeaseLostException(run.Id);
    }

    private static void Hold(SqliteSession session, RunRecord run)
    {
        SqliteStatement find = session.Prepare("SELECT 1 FROM runs WHERE id = ?1 AND tenant_id = ?2 AND lease_epoch = ?3 AND status IN ('queued', 'running')").Bind(1, run.Id).Bind(2, run.TenantId).Bind(3, run.LeaseEpoch);
        bool held = find.Step();
        find.Reset();
        if (!held) throw new LeaseLostException(run.Id);
    }

    private static void Append(SqliteSession session, RunWrite write)
    {
        Append(session, write.Run, write.Events, write.Messages);
        if (write.Summary is { } summary) SqliteSummaryStore.Add(session, write.Run.TenantId, summary);
        if (write.RemovesMessages)
        {
            session.Prepare("DELETE FROM messages WHERE conversation_id = ?3 AND run_id = ?1 AND tenant_id = ?2").Bind(1, write.Run.Id).Bind(2, write.Run.TenantId).Bind(3, write.Run.ConversationId).Execute();
            // It may tell of them.
            session.Prepare("DELETE FROM conversation_summaries WHERE conversation_id = ?3 AND run_id = ?1 AND tenant_id = ?2").Bind(1, write.Run.Id).Bind(2, write.Run.TenantId).Bind(3, write.Run.ConversationId).Execute();
        }
        SqliteRunWaits.Write(session, write);
        SqliteDeadLetterStore.Write(session, write);
        if (write.DropsSnapshot) SqliteFlowSnapshotStore.Drop(session, write.Run.TenantId, write.Run.Id);
        foreach (EventEnvelope asked in ApprovalRequestedEvent.Of(write)) Outbox.Add(session, asked);
        if (write.Event is { } told) Outbox.Add(session, told);
    }

    private static void Append(SqliteSession session, RunRecord run, IReadOnlyList<RunEvent> events, IReadOnlyList<NewMessage> messages)
    {
        SqliteStatement insert = session.Prepare("INSERT INTO run_events (run_id, seq, tenant_id, type, at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
        for (int i = 0; i < events.Count; i++)
        {
            RunEvent e = events[i];
            insert.Bind(1, run.Id).Bind(2, e.Seq).Bind(3, run.TenantId).Bind(4, e.Type).Bind(5, e.At).BindBlob(6, e.Data).Execute();
        }
        if (messages.Count == 0 || run.ConversationId is null) return;
        // Only into a conversation that is still there: its deletion must not be undone by a run that was active.
        SqliteStatement add = session.Prepare("""
            INSERT INTO messages (id, tenant_id, conversation_id, run_id, role, visible, wire, created_at)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM conversations WHERE id = ?3 AND deleted_at IS NULL)
            """);
        foreach (NewMessage message in messages)
        {
            add.Bind(1, message.Id).Bind(2, run.TenantId).Bind(3, run.ConversationId).Bind(4, run.Id).Bind(5, message.Role).Bind(6, message.Visible)
                .BindBlob(7, message.Wire).Bind(8, message.At).Execute();
        }
    }
}
