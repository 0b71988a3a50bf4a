using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Conversations;

/// <summary>Conversations in SQLite. The tenant is part of every statement.</summary>
internal sealed class SqliteConversationStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IConversationStore
{
    private const string Columns = "SELECT id, agent, title, user_id, metadata, created_at, updated_at, handled_by, handled_since, handled_reason FROM conversations ";

    public Task CreateAsync(string tenantId, ConversationRecord conversation, string? apiKeyId) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("INSERT INTO conversations (id, tenant_id, agent, title, user_id, api_key_id, metadata, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)")
            .Bind(1, conversation.Id).Bind(2, tenantId).Bind(3, conversation.Agent).Bind(4, conversation.Title).Bind(5, conversation.UserId).Bind(6, apiKeyId)
            .Bind(7, conversation.Metadata).Bind(8, conversation.CreatedAt).Execute();
    });

    public ValueTask<ConversationRecord?> FindAsync(string tenantId, string id) => new(database.Read(session =>
    {
        SqliteStatement read = session.Prepare(Columns + "WHERE id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL").Bind(1, id).Bind(2, tenantId);
        ConversationRecord? found = read.Step() ? Read(read) : null;
        read.Reset();
        return found;
    }));

    public ValueTask<IReadOnlyList<ConversationRecord>> ListAsync(string tenantId, string? agent, bool? handled, string? beforeId, int limit) => new(database.Read<IReadOnlyList<ConversationRecord>>(session =>
    {
        SqliteStatement read = session.Prepare(Columns + "WHERE tenant_id = ?1 AND deleted_at IS NULL AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR agent = ?3) AND (?5 IS NULL OR (handled_by IS NOT NULL) = ?5) ORDER BY id DESC LIMIT ?4")
            .Bind(1, tenantId).Bind(2, beforeId).Bind(3, agent).Bind(4, limit).Bind(5, handled is null ? null : handled.Value ? 1L : 0L);
        var list = new List<ConversationRecord>();
        while (read.Step()) list.Add(Read(read));
        return list;
    }));

    public Task<bool> RenameAsync(string tenantId, string id, string title, DateTimeOffset now) => database.Writer.WriteAsync(session =>
        session.Prepare("UPDATE conversations SET title = ?3, updated_at = ?4 WHERE id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL")
            .Bind(1, id).Bind(2, tenantId).Bind(3, title).Bind(4, now).Execute() > 0);

    public Task<IReadOnlyList<string>?> DeleteAsync(string tenantId, string id, DateTimeOffset now) => database.Writer.WriteAsync<IReadOnlyList<string>?>(session =>
    {
        int changed = session.Prepare("UPDATE conversations SET deleted_at = ?3 WHERE id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL").Bind(1, id).Bind(2, tenantId).Bind(3, now).Execute();
        if (changed == 0) return null;
        session.Prepare("DELETE FROM messages WHERE conversation_id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute();
        session.Prepare("DELETE FROM conversation_summaries WHERE conversation_id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute();
        SqliteStatement active = session.Prepare("SELECT id FROM runs WHERE conversation_id = ?1 AND tenant_id = ?2 AND status IN ('queued', 'running', 'waiting', 'paused')").Bind(1, id).Bind(2, tenantId);
        var runs = new List<string>();
        while (active.Step()) runs.Add(active.Text(0));
        return runs;
    });

    public ValueTask<IReadOnlyList<MessageRecord>> MessagesAsync(string tenantId, string conversationId, bool withTools, long after, int limit) => new(database.Read<IReadOnlyList<MessageRecord>>(session =>
    {
        SqliteStatement read = session.Prepare("SELECT position, id, run_id, role, wire, created_at, author FROM messages WHERE conversation_id = ?1 AND tenant_id = ?2 AND position > ?3 AND (?4 OR visible) ORDER BY position LIMIT ?5")
            .Bind(1, conversationId).Bind(2, tenantId).Bind(3, after).Bind(4, withTools).Bind(5, limit);
        var list = new List<MessageRecord>();
        while (read.Step()) list.Add(new MessageRecord(read.Int64(0), read.Text(1), read.Text(2), read.Text(3), read.Bytes(4).ToArray(), read.Time(5), read.TextOrNull(6)));
        return list;
    }));

    private static ConversationRecord Read(SqliteStatement row) => new()
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
