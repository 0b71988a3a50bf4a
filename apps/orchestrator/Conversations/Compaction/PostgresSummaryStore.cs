using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Orchestrator.Conversations.Compaction;

/// <summary>Summaries in PostgreSQL.</summary>
internal sealed class PostgresSummaryStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : ISummaryStore
{
    public async ValueTask<ConversationSummary?> FindAsync(string tenantId, string conversationId) => await database.ReadAsync(tenantId, session => session
        .Sql("SELECT id, run_id, through_position, text, model, created_at FROM orchestrator.conversation_summaries WHERE conversation_id = $1 AND tenant_id = $2 ORDER BY through_position DESC, id DESC LIMIT 1",
            PostgresText.Storable(conversationId), tenantId)
        .FirstAsync(row => new ConversationSummary { Id = row.Text(0), ConversationId = conversationId, RunId = row.Text(1), Through = row.Int64(2), Text = row.Text(3), Model = row.Text(4), CreatedAt = row.Time(5) }));

    public async Task<bool> AddAsync(string tenantId, ConversationSummary summary)
    {
        var batch = new WriteBatch();
        Add(batch, tenantId, summary);
        return (await database.Writer.WriteAsync(tenantId, batch))[0] > 0;
    }

    /// <summary>Adds one to a conversation that is still there.</summary>
    public static void Add(WriteBatch batch, string tenantId, ConversationSummary summary) => batch.Add("""
        INSERT INTO orchestrator.conversation_summaries (id, tenant_id, conversation_id, run_id, through_position, text, model, created_at)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM (SELECT 1 FROM orchestrator.conversations WHERE id = $3 AND tenant_id = $2 AND deleted_at IS NULL FOR SHARE) there
        """, summary.Id, tenantId, PostgresText.Storable(summary.ConversationId), summary.RunId, summary.Through, PostgresText.Storable(summary.Text), summary.Model, summary.CreatedAt);
}
