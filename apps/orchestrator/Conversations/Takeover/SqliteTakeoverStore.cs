using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;

namespace MultiAgent.Orchestrator.Conversations.Takeover;

/// <summary>Takeovers in SQLite.</summary>
internal sealed class SqliteTakeoverStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : ITakeoverStore
{
    public Task<TakeoverOutcome> TakeAsync(string tenantId, string conversationId, string by, string? reason, DateTimeOffset now, EventEnvelope told) => database.Writer.WriteAsync(session =>
    {
        (bool found, string? handler) = Handler(session, tenantId, conversationId);
        if (!found) return TakeoverOutcome.NotFound;
        if (handler is not null) return handler == by ? TakeoverOutcome.Unchanged : TakeoverOutcome.Others;
        Set(session, tenantId, conversationId, by, now, reason);
        Outbox.Add(session, told);
        return TakeoverOutcome.Done;
    });

    public Task<TakeoverOutcome> HandBackAsync(string tenantId, string conversationId, string by, bool force, EventEnvelope told) => database.Writer.WriteAsync(session =>
    {
        (bool found, string? handler) = Handler(session, tenantId, conversationId);
        if (!found) return TakeoverOutcome.NotFound;
        if (handler is null) return TakeoverOutcome.Unchanged;
        if (handler != by && !force) return TakeoverOutcome.Others;
        Set(session, tenantId, conversationId, null, null, null);
        Outbox.Add(session, told);
        return TakeoverOutcome.Done;
    });

    public Task<TakeoverOutcome> AddAsync(string tenantId, string conversationId, PlainMessage message, EventEnvelope told) => database.Writer.WriteAsync(session =>
    {
        (bool found, string? handler) = Handler(session, tenantId, conversationId);
        if (!found) return TakeoverOutcome.NotFound;
        if (handler is null) return TakeoverOutcome.Nobody;
        if (message.Author is not null && message.Author != handler) return TakeoverOutcome.Others;
        int added = session.Prepare("""
            INSERT INTO messages (id, tenant_id, conversation_id, run_id, role, visible, wire, created_at, author, request_key)
            VALUES (?1, ?2, ?3, '', ?4, 1, ?5, ?6, ?7, ?8) ON CONFLICT (conversation_id, request_key) WHERE request_key IS NOT NULL DO NOTHING
            """)
            .Bind(1, message.Id).Bind(2, tenantId).Bind(3, conversationId).Bind(4, message.Role).BindBlob(5, message.Wire).Bind(6, message.At).Bind(7, message.Author).Bind(8, message.RequestKey).Execute();
        if (added == 0) return TakeoverOutcome.Unchanged;
        session.Prepare("UPDATE conversations SET updated_at = ?3 WHERE id = ?1 AND tenant_id = ?2").Bind(1, conversationId).Bind(2, tenantId).Bind(3, message.At).Execute();
        Outbox.Add(session, told);
        return TakeoverOutcome.Done;
    });

    public ValueTask<IReadOnlyList<string>> ActiveRunsAsync(string tenantId, string conversationId) => new(database.Read<IReadOnlyList<string>>(session =>
    {
        SqliteStatement read = session.Prepare("SELECT id FROM runs WHERE conversation_id = ?1 AND tenant_id = ?2 AND status IN ('queued', 'running', 'waiting', 'paused') ORDER BY position DESC").Bind(1, conversationId).Bind(2, tenantId);
        var runs = new List<string>();
        while (read.Step()) runs.Add(read.Text(0));
        return runs;
    }));

    private static (bool Found, string? Handler) Handler(SqliteSession session, string tenantId, string conversationId)
    {
        SqliteStatement find = session.Prepare("SELECT handled_by FROM conversations WHERE id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL").Bind(1, conversationId).Bind(2, tenantId);
        (bool, string?) handler = find.Step() ? (true, find.TextOrNull(0)) : (false, null);
        find.Reset();
        return handler;
    }

    private static void Set(SqliteSession session, string tenantId, string conversationId, string? by, DateTimeOffset? since, string? reason) =>
        session.Prepare("UPDATE conversations SET handled_by = ?3, handled_since = ?4, handled_reason = ?5 WHERE id = ?1 AND tenant_id = ?2")
            .Bind(1, conversationId).Bind(2, tenantId).Bind(3, by).Bind(4, since).Bind(5, reason).Execute();
}
