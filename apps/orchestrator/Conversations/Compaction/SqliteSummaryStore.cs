using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Conversations.Compaction;

/// <summary>Summaries in SQLite.</summary>
internal sealed class SqliteSummaryStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : ISummaryStore
{
    public ValueTask<ConversationSummary?> FindAsync(string tenantId, string conversationId) => new(database.Read(session =>
    {
        SqliteStatement row = session.Prepare("SELECT id, run_id, through_position, text, model, created_at FROM conversation_summaries WHERE conversation_id = ?1 AND tenant_id = ?2 ORDER BY through_position DESC, id DESC LIMIT 1")
            .Bind(1, conversationId).Bind(2, tenantId);
        ConversationSummary? found = row.Step()
            ? new ConversationSummary { Id = row.Text(0), ConversationId = conversationId, RunId = row.Text(1), Through = row.Int64(2), Text = row.Text(3), Model = row.Text(4), CreatedAt = row.Time(5) } : null;
        row.Reset();
        return found;
    }));

    public Task<bool> AddAsync(string tenantId, ConversationSummary summary) => database.Writer.WriteAsync(session => Add(session, tenantId, summary) > 0);

    /// <summary>Adds one to a conversation that is still there.</summary>
    public static int Add(SqliteSession session, string tenantId, ConversationSummary summary) => session.Prepare("""
        INSERT INTO conversation_summaries (id, tenant_id, conversation_id, run_id, through_position, text, model, created_at)
        SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE EXISTS (SELECT 1 FROM conversations WHERE id = ?3 AND tenant_id = ?2 AND deleted_at IS NULL)
        """).Bind(1, summary.Id).Bind(2, tenantId).Bind(3, summary.ConversationId).Bind(4, summary.RunId).Bind(5, summary.Through).Bind(6, summary.Text).Bind(7, summary.Model).Bind(8, summary.CreatedAt).Execute();
}
