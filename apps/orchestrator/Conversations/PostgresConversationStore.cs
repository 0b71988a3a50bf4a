using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using Npgsql;

namespace MultiAgent.Orchestrator.Conversations;

/// <summary>Conversations in PostgreSQL.</summary>
internal sealed class PostgresConversationStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IConversationStore
{
    private const string Columns = "SELECT id, agent, title, user_id, metadata, created_at, updated_at, handled_by, handled_since, handled_reason FROM orchestrator.conversations ";

    public Task CreateAsync(string tenantId, ConversationRecord conversation, string? apiKeyId)
    {
        var batch = new WriteBatch();
        batch.Add("INSERT INTO orchestrator.conversations (id, tenant_id, agent, title, user_id, api_key_id, metadata, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
            conversation.Id, tenantId, PostgresText.Storable(conversation.Agent), PostgresText.Storable(conversation.Title), conversation.UserId, apiKeyId, PostgresText.Storable(conversation.Metadata), conversation.CreatedAt);
        return database.Writer.WriteAsync(tenantId, batch);
    }

    public async ValueTask<ConversationRecord?> FindAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(Columns + "WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL", PostgresText.Storable(id), tenantId).FirstAsync(Read));

    public async ValueTask<IReadOnlyList<ConversationRecord>> ListAsync(string tenantId, string? agent, bool? handled, string? beforeId, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql(Columns + "WHERE tenant_id = $1 AND deleted_at IS NULL AND ($2::text IS NULL OR id < $2) AND ($3::text IS NULL OR agent = $3) AND ($5::boolean IS NULL OR (handled_by IS NOT NULL) = $5) ORDER BY id DESC LIMIT $4",
            tenantId, PostgresText.Storable(beforeId), PostgresText.Storable(agent), limit, handled).ListAsync(Read));

    public async Task<bool> RenameAsync(string tenantId, string id, string title, DateTimeOffset now)
    {
        var batch = new WriteBatch();
        batch.Add("UPDATE orchestrator.conversations SET title = $3, updated_at = $4 WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL", PostgresText.Storable(id), tenantId, PostgresText.Storable(title), now);
        return (await database.Writer.WriteAsync(tenantId, batch))[0] > 0;
    }

    public Task<IReadOnlyList<string>?> DeleteAsync(string tenantId, string id, DateTimeOffset now) => database.WriteAsync<IReadOnlyList<string>?>(tenantId, async session =>
    {
        int changed = await session.Sql("UPDATE orchestrator.conversations SET deleted_at = $3 WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL", PostgresText.Storable(id), tenantId, now).ExecuteAsync();
        if (changed == 0) return null;
        await session.Sql("DELETE FROM orchestrator.messages WHERE conversation_id = $1 AND tenant_id = $2", id, tenantId).ExecuteAsync();
        await session.Sql("DELETE FROM orchestrator.conversation_summaries WHERE conversation_id = $1 AND tenant_id = $2", id, tenantId).ExecuteAsync();
        return await session.Sql("SELECT id FROM orchestrator.runs WHERE conversation_id = $1 AND tenant_id = $2 AND status IN ('queued', 'running', 'waiting', 'paused')", id, tenantId).ListAsync(static row => row.Text(0));
    });

    public async ValueTask<IReadOnlyList<MessageRecord>> MessagesAsync(string tenantId, string conversationId, bool withTools, long after, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql("""
            SELECT position, id, run_id, role, wire, created_at, author FROM orchestrator.messages
            WHERE conversation_id = $1 AND tenant_id = $2 AND position > $3 AND ($4 OR visible) ORDER BY position LIMIT $5
            """, PostgresText.Storable(conversationId), tenantId, after, withTools, limit)
        .ListAsync(static row => new MessageRecord(row.Int64(0), row.Text(1), row.Text(2), row.Text(3), row.Bytes(4), row.Time(5), row.TextOrNull(6))));

    private static ConversationRecord Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0),
        Agent = row.TextOrNull(1),
        Title = row.TextOrNull(2),
        UserId = row.TextOrNull(3),
        Metadata = row.TextOrNull(4),
        CreatedAt = row.Time(5),
        UpdatedAt = row.Time(6),
        HandledBy = row.TextOrNull(7),
        HandledSince = row.TimeOrNull(8),
        HandledReason = row.TextOrNull(9),
    };
}
