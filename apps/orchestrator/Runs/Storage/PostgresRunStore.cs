using System.Text;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Messaging;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Runs.Waits;
using MultiAgent.Orchestrator.Workflows.Compensations;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Orchestrator.Runs.Storage;

/// <summary>
/// Runs in PostgreSQL. What needs no answer in between goes through the writer with group commit, so that many runs share a round trip and a
/// commit: every append, and every acceptance but that of a busy conversation or of a key that is known.
/// </summary>
internal sealed class PostgresRunStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IRunStore
{
    private const int StoreAttempts = 4;

    public async Task<AcceptOutcome> AcceptAsync(NewRun run)
    {
        try
        {
            await StoreAsync(run);
            return AcceptOutcome.Started.Instance;
        }
        catch (ConversationMissing)
        {
            // A repetition of a request whose conversation is gone by now still gets its run.
            return await KnownAsync(run.Record) ?? await NoConversationAsync(run.Record);
        }
        catch (NotIdle)
        {
            return await KnownAsync(run.Record) ?? await AcceptBusyAsync(run);
        }
    }

    // A connection that broke says nothing of what became of the run; its row does.
    private async Task StoreAsync(NewRun run)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await database.Writer.WriteAsync(run.Record.TenantId, Batch(run));
                return;
            }
            catch (Exception e) when (attempt > 1 || e is StorageUnavailableException { OutcomeUnknown: true })
            {
                if (await IsStoredAsync(run.Record)) return;
                if (attempt == StoreAttempts || e is not StorageUnavailableException { OutcomeUnknown: true }) throw;
            }
        }
    }

    private async Task<bool> IsStoredAsync(RunRecord run)
    {
        try
        {
            return await FindAsync(run.TenantId, run.Id) is not null;
        }
        catch (StorageUnavailableException e)
        {
            throw new StorageUnavailableException(e.Message, e) { OutcomeUnknown = true };
        }
    }

    private WriteBatch Batch(NewRun run)
    {
        RunRecord record = run.Record;
        var batch = new WriteBatch { FindsOutOutcome = true };
        if (run.ParentWrite is { } parent) Write(batch, parent);
        if (run.CreateConversation) PostgresRunStatements.CreateConversation(batch, record, run.Title);
        else if (record.ConversationId is not null) PostgresRunStatements.TouchConversation(batch, record, run.Title, static () => new ConversationMissing());
        PostgresRunStatements.Insert(batch, record, RunStatus.Running, run.Lease, whileIdle: record.ConversationId is not null, static () => new NotIdle());
        PostgresRunStatements.Append(batch, record, [.. run.Accepted, .. run.Started]);
        PostgresRunStatements.AddMessages(batch, record, run.Messages);
        // Of a fork, which is in no conversation that could be busy.
        foreach (BlackboardWrite write in run.Board) PostgresBlackboardStore.Insert(batch, write);
        return batch;
    }

    public async Task AppendAsync(RunWrite write)
    {
        // Whoever writes looks for the events when the outcome is unknown.
        var batch = new WriteBatch { FindsOutOutcome = true };
        Write(batch, write);
        if (write.End is { ParentRunId: { } parent, LeaseEpoch: > 1 }) await EndRestedAsync(write.Run.TenantId, parent, batch);
        else await database.Writer.WriteAsync(write.Run.TenantId, batch);
    }

    private void Write(WriteBatch batch, RunWrite write)
    {
        // The fence is in the statement that adds events.
        ArgumentOutOfRangeException.ThrowIfZero(write.Events.Count);
        PostgresRunStatements.AppendFenced(batch, write.Run, write.Events, "'queued', 'running'", () => new LeaseLostException(write.Run.Id));
        if (write.End is { } end) PostgresRunStatements.End(batch, end);
        PostgresRunStatements.AddMessages(batch, write.Run, write.Messages);
        if (write.Summary is { } summary) PostgresSummaryStore.Add(batch, write.Run.TenantId, summary);
        if (write.RemovesMessages)
        {
            batch.Add("DELETE FROM orchestrator.messages WHERE conversation_id = $3::text AND run_id = $1 AND tenant_id = $2", write.Run.Id, write.Run.TenantId, write.Run.ConversationId);
            // It may tell of them.
            batch.Add("DELETE FROM orchestrator.conversation_summaries WHERE conversation_id = $3::text AND run_id = $1 AND tenant_id = $2", write.Run.Id, write.Run.TenantId, write.Run.ConversationId);
        }
        PostgresRunWaits.Write(batch, write);
        PostgresDeadLetterStore.Write(batch, write);
        if (write.DropsSnapshot) PostgresFlowSnapshotStore.Drop(batch, write.Run.TenantId, write.Run.Id);
        foreach (EventEnvelope asked in ApprovalRequestedEvent.Of(write)) Outbox.Add(batch, database, asked);
        if (write.Event is { } told) Outbox.Add(batch, database, told);
        foreach (RunWrite step in write.Ends) Write(batch, step);
    }

    // The run that rests for this one is another process's perhaps, which holds it while it puts it to rest. A transaction with other runs' writes in it
    // could wait for that process in a circle.
    private Task EndRestedAsync(string tenantId, string parentId, WriteBatch batch) => database.WriteAsync(tenantId, async session =>
    {
        await session.Sql("SELECT 1 FROM orchestrator.runs WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE", parentId, tenantId).FirstAsync(static _ => true);
        await session.ExecuteAllAsync(batch);
        return true;
    });

    public async Task<StartedNext?> StartNextAsync(string tenantId, string conversationId, DateTimeOffset now)
    {
        // Nearly always nobody waits.
        bool waits = await database.ReadAsync(tenantId, session => session
            .Sql("SELECT 1 FROM orchestrator.runs WHERE conversation_id = $1 AND tenant_id = $2 AND status = 'queued' LIMIT 1", conversationId, tenantId).FirstAsync(static _ => true));
        if (!waits) return null;
        return await database.WriteAsync(tenantId, async session =>
        {
            await session.Sql("SELECT 1 FROM orchestrator.conversations WHERE id = $1 AND tenant_id = $2 FOR UPDATE", conversationId, tenantId).FirstAsync(static _ => true);
            return await session.Sql("""
                UPDATE orchestrator.runs SET status = 'running', started_at = $3 WHERE tenant_id = $2 AND status = 'queued' AND id =
                    (SELECT id FROM orchestrator.runs WHERE conversation_id = $1 AND tenant_id = $2 AND status IN ('queued', 'running', 'waiting', 'paused') ORDER BY status <> 'queued' DESC, position LIMIT 1)
                RETURNING id, lease_owner
                """, conversationId, tenantId, now).FirstAsync(static row => new StartedNext(row.Text(0), row.TextOrNull(1)));
        });
    }

    public async Task<bool> CancelQueuedAsync(RunWrite write)
    {
        var batch = new WriteBatch();
        PostgresRunStatements.AppendFenced(batch, write.Run, write.Events, "'queued'", static () => new NotIdle());
        PostgresRunStatements.End(batch, write.End!);
        if (write.Event is { } told) Outbox.Add(batch, database, told);
        try
        {
            await database.Writer.WriteAsync(write.Run.TenantId, batch);
            return true;
        }
        catch (NotIdle)
        {
            return false;
        }
    }

    public async ValueTask<RunRecord?> FindAsync(string tenantId, string runId) => await database.ReadAsync(tenantId, session =>
        session.Sql(PostgresRunRows.Select + "WHERE r.id = $1 AND r.tenant_id = $2", runId, tenantId).FirstAsync(PostgresRunRows.Read));

    public async ValueTask<RunRecord?> FindByKeyAsync(string tenantId, string idempotencyKey) => await database.ReadAsync(tenantId, session =>
        session.Sql(PostgresRunRows.Select + "WHERE r.tenant_id = $1 AND r.idempotency_key = $2", tenantId, idempotencyKey).FirstAsync(PostgresRunRows.Read));

    public async ValueTask<IReadOnlyList<RunEvent>> EventsAsync(string tenantId, string runId, long afterSeq, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT seq, type, at, data FROM orchestrator.run_events WHERE run_id = $1 AND seq > $2 AND tenant_id = $3 ORDER BY seq LIMIT $4", runId, afterSeq, tenantId, limit)
        .ListAsync(static row => new RunEvent { Seq = row.Int64(0), Type = row.Text(1), At = row.Time(2), Data = row.Bytes(3) }));

    public async ValueTask<long> LastSeqAsync(string tenantId, string runId) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT seq FROM orchestrator.run_events WHERE run_id = $1 AND tenant_id = $2 ORDER BY seq DESC LIMIT 1", runId, tenantId).FirstAsync(static row => row.Int64(0)));

    public async ValueTask<byte[]?> LastEventAsync(string tenantId, string runId, string type) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT data FROM orchestrator.run_events WHERE run_id = $1 AND tenant_id = $2 AND type = $3 ORDER BY seq DESC LIMIT 1", runId, tenantId, type).FirstAsync(static row => row.Bytes(0)));

    public async ValueTask<IReadOnlyList<RunRecord>> ListAsync(string tenantId, RunFilter filter, string? beforeId, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql(PostgresRunRows.Select + """
            WHERE r.tenant_id = $1 AND ($2::text IS NULL OR r.id < $2) AND ($3::text IS NULL OR r.status = $3) AND ($4::text IS NULL OR r.agent = $4) AND ($5::text IS NULL OR r.conversation_id = $5)
                AND r.parent_run_id IS NOT DISTINCT FROM $7::text AND ($8::text IS NULL OR r.kind = $8)
            ORDER BY r.id DESC LIMIT $6
            """, tenantId, PostgresText.Storable(beforeId), filter.Status is { } status ? RunStatusNames.Of(status) : null, PostgresText.Storable(filter.Agent), PostgresText.Storable(filter.ConversationId), limit,
            PostgresText.Storable(filter.ParentRunId), filter.Kind is { } kind ? RunKindNames.Of(kind) : null).ListAsync(PostgresRunRows.Read));

    public async ValueTask<StoredHistory> HistoryAsync(string tenantId, string conversationId, string exceptRunId, int limit)
    {
        // The summary comes in the same round trip, under a position that no message has.
        List<StoredMessage> rows = await database.ReadAsync(tenantId, session => session.Sql("""
            WITH newest AS (SELECT through_position, text FROM orchestrator.conversation_summaries WHERE conversation_id = $1 AND tenant_id = $2 AND run_id <> $3 ORDER BY through_position DESC, id DESC LIMIT 1)
            SELECT position, wire FROM (SELECT position, wire FROM orchestrator.messages WHERE conversation_id = $1 AND tenant_id = $2 AND run_id <> $3
                AND position > coalesce((SELECT through_position FROM newest), 0) ORDER BY position DESC LIMIT $4) m
            UNION ALL SELECT 0, convert_to(text, 'UTF8') FROM newest
            ORDER BY position
            """, conversationId, tenantId, exceptRunId, limit).ListAsync(static row => new StoredMessage(row.Int64(0), row.Bytes(1))));
        return rows is [{ Position: 0 } summary, .. var after] ? new StoredHistory(Encoding.UTF8.GetString(summary.Wire), after) : new StoredHistory(null, rows);
    }

    public Task<int> ForgetKeysAsync(DateTimeOffset before, int batch) => database.WriteAsync(TenantScope.System("idempotency keys of runs"), session => session.Sql("""
        /* all tenants */ UPDATE orchestrator.runs SET idempotency_key = NULL, request_hash = NULL
        WHERE position IN (SELECT position FROM orchestrator.runs WHERE idempotency_key IS NOT NULL AND created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
        """, before, batch).ExecuteAsync());

    private async Task<AcceptOutcome> NoConversationAsync(RunRecord record) => await database.ReadAsync(record.TenantId, session => session
        .Sql("SELECT 1 FROM orchestrator.conversations WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL", record.ConversationId, record.TenantId).FirstAsync(static _ => true))
        ? new AcceptOutcome.HandledByPerson() : new AcceptOutcome.ConversationNotFound();

    private async Task<AcceptOutcome?> KnownAsync(RunRecord record)
    {
        if (record.IdempotencyKey is not { } key || await FindByKeyAsync(record.TenantId, key) is not { } known) return null;
        return known.RequestHash == record.RequestHash ? new AcceptOutcome.Existing(known) : new AcceptOutcome.KeyReused();
    }

    // The conversation has an active run, or had one a moment ago.
    private async Task<AcceptOutcome> AcceptBusyAsync(NewRun run)
    {
        RunRecord record = run.Record;
        try
        {
            return await database.WriteAsync<AcceptOutcome>(record.TenantId, async session =>
            {
                var batch = new WriteBatch();
                PostgresRunStatements.TouchConversation(batch, record, run.Title, static () => new ConversationMissing());
                await session.ExecuteAllAsync(batch);
                List<string> active = await session
                    .Sql("SELECT id FROM orchestrator.runs WHERE conversation_id = $1 AND tenant_id = $2 AND status IN ('queued', 'running', 'waiting', 'paused') ORDER BY position", record.ConversationId, record.TenantId)
                    .ListAsync(static row => row.Text(0));
                bool waits = active.Count > 0;
                // The touch goes with the transaction, as it does where the run is stored: somebody spoke in this conversation.
                if (waits && run.OnBusy == BusyPolicy.Reject) return new AcceptOutcome.Busy(active[0]);
                if (active.Count > run.MaxQueued) return new AcceptOutcome.QueueFull();
                batch = new WriteBatch();
                PostgresRunStatements.Insert(batch, record, waits ? RunStatus.Queued : RunStatus.Running, run.Lease, whileIdle: false, static () => new NotIdle());
                PostgresRunStatements.Append(batch, record, waits ? run.Accepted : [.. run.Accepted, .. run.Started]);
                if (!waits) PostgresRunStatements.AddMessages(batch, record, run.Messages);
                await session.ExecuteAllAsync(batch);
                return waits ? new AcceptOutcome.Queued(run.OnBusy is BusyPolicy.Interrupt or BusyPolicy.Rollback ? active : []) : AcceptOutcome.Started.Instance;
            });
        }
        catch (ConversationMissing)
        {
            return await NoConversationAsync(record);
        }
        catch (NotIdle)
        {
            // The key came in between.
            return await KnownAsync(record) ?? throw new OverloadedException("The run could not be stored. Try again.");
        }
    }

    private sealed class ConversationMissing : Exception;

    private sealed class NotIdle : Exception;
}
