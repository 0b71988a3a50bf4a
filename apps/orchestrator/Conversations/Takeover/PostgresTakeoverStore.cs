using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Postgres;
using MultiAgent.Messaging;

namespace MultiAgent.Orchestrator.Conversations.Takeover;

/// <summary>Takeovers in PostgreSQL. The conversation's row is held, as it is by what accepts a run into it: whichever comes second sees the other.</summary>
internal sealed class PostgresTakeoverStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : ITakeoverStore
{
    public Task<TakeoverOutcome> TakeAsync(string tenantId, string conversationId, string by, string? reason, DateTimeOffset now, EventEnvelope told) => database.WriteAsync(tenantId, async session =>
    {
        if (await HandlerAsync(session, tenantId, conversationId) is not { } handler) return TakeoverOutcome.NotFound;
        if (handler.Name is { } name) return name == by ? TakeoverOutcome.Unchanged : TakeoverOutcome.Others;
        await session.Sql("UPDATE orchestrator.conversations SET handled_by = $3, handled_since = $4, handled_reason = $5::text WHERE id = $1 AND tenant_id = $2",
            conversationId, tenantId, by, now, PostgresText.Storable(reason)).ExecuteAsync();
        await Outbox.AddAsync(session, database, told);
        return TakeoverOutcome.Done;
    });

    public Task<TakeoverOutcome> HandBackAsync(string tenantId, string conversationId, string by, bool force, EventEnvelope told) => database.WriteAsync(tenantId, async session =>
    {
        if (await HandlerAsync(session, tenantId, conversationId) is not { } handler) return TakeoverOutcome.NotFound;
        if (handler.Name is not { } name) return TakeoverOutcome.Unchanged;
        if (name != by && !force) return TakeoverOutcome.Others;
        await session.Sql("UPDATE orchestrator.conversations SET handled_by = NULL, handled_since = NULL, handled_reason = NULL WHERE id = $1 AND tenant_id = $2", conversationId, tenantId).ExecuteAsync();
        await Outbox.AddAsync(session, database, told);
        return TakeoverOutcome.Done;
    });

    public Task<TakeoverOutcome> AddAsync(string tenantId, string conversationId, PlainMessage message, EventEnvelope told) => database.WriteAsync(tenantId, async session =>
    {
        if (await HandlerAsync(session, tenantId, conversationId) is not { } handler) return TakeoverOutcome.NotFound;
        if (handler.Name is not { } name) return TakeoverOutcome.Nobody;
        if (message.Author is not null && message.Author != name) return TakeoverOutcome.Others;
        int added = await session.Sql("""
            INSERT INTO orchestrator.messages (id, tenant_id, conversation_id, run_id, role, visible, wire, created_at, author, request_key)
            VALUES ($1, $2, $3, '', $4, true, $5, $6, $7::text, $8::text) ON CONFLICT (conversation_id, request_key) WHERE request_key IS NOT NULL DO NOTHING
            """, message.Id, tenantId, conversationId, message.Role, message.Wire, message.At, message.Author, PostgresText.Storable(message.RequestKey)).ExecuteAsync();
        if (added == 0) return TakeoverOutcome.Unchanged;
        await session.Sql("UPDATE orchestrator.conversations SET updated_at = greatest(updated_at, $3) WHERE id = $1 AND tenant_id = $2", conversationId, tenantId, message.At).ExecuteAsync();
        await Outbox.AddAsync(session, database, told);
        return TakeoverOutcome.Done;
    });

    public async ValueTask<IReadOnlyList<string>> ActiveRunsAsync(string tenantId, string conversationId) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT id FROM orchestrator.runs WHERE conversation_id = $1 AND tenant_id = $2 AND status IN ('queued', 'running', 'waiting', 'paused') ORDER BY position DESC", PostgresText.Storable(conversationId), tenantId)
        .ListAsync(static row => row.Text(0)));

    private static Task<Holder?> HandlerAsync(PostgresSession session, string tenantId, string conversationId) => session
        .Sql("SELECT handled_by FROM orchestrator.conversations WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE", PostgresText.Storable(conversationId), tenantId)
        .FirstAsync(static row => new Holder(row.TextOrNull(0)));

    private sealed record Holder(string? Name);
}
