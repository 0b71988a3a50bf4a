using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Data.Sqlite;
using MultiAgent.Messaging;

namespace MultiAgent.Orchestrator.Feedback;

/// <summary>Feedback in SQLite.</summary>
internal sealed class SqliteFeedbackStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database, TimeProvider time) : IFeedbackStore
{
    private const string Columns = "SELECT id, message_id, run_id, conversation_id, agent, author, rating, score, comment, created_at, updated_at FROM feedback ";

    public Task<FeedbackView?> RecordAsync(string tenantId, string messageId, string author, string? userId, FeedbackRequest request)
    {
        DateTimeOffset now = time.GetUtcNow();
        string newId = Ids.New("fb", now), eventId = Ids.New("evt", now);
        return database.Writer.WriteAsync(session =>
        {
            SqliteStatement find = session.Prepare("""
                SELECT m.run_id, m.conversation_id, r.agent FROM messages m JOIN runs r ON r.id = m.run_id
                WHERE m.id = ?1 AND m.tenant_id = ?2 AND m.role = 'assistant' AND m.visible
                """).Bind(1, messageId).Bind(2, tenantId);
            if (!find.Step()) return null;
            string runId = find.Text(0), conversationId = find.Text(1), agent = find.Text(2);
            find.Reset();
            session.Prepare("""
                INSERT INTO feedback (id, tenant_id, message_id, run_id, conversation_id, agent, author, rating, score, comment, created_at, updated_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)
                ON CONFLICT (tenant_id, message_id, author) DO UPDATE SET rating = excluded.rating, score = excluded.score, comment = excluded.comment, updated_at = excluded.updated_at
                """)
                .Bind(1, newId).Bind(2, tenantId).Bind(3, messageId).Bind(4, runId).Bind(5, conversationId).Bind(6, agent).Bind(7, author)
                .Bind(8, (long?)request.Rating).Bind(9, (long?)request.Score).Bind(10, request.Comment).Bind(11, now).Execute();
            SqliteStatement read = session.Prepare(Columns + "WHERE tenant_id = ?1 AND message_id = ?2 AND author = ?3").Bind(1, tenantId).Bind(2, messageId).Bind(3, author);
            read.Step();
            FeedbackView view = Read(read);
            read.Reset();
            Outbox.Add(session, FeedbackEvent.Of(eventId, tenantId, userId, view));
            return view;
        });
    }

    public ValueTask<IReadOnlyList<FeedbackView>> ListAsync(string tenantId, FeedbackFilter filter, string? beforeId, int limit) => new(database.Read<IReadOnlyList<FeedbackView>>(session =>
    {
        SqliteStatement read = session.Prepare(Columns + """
            WHERE tenant_id = ?1 AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR agent = ?3) AND (?4 IS NULL OR rating = ?4) AND (?5 IS NULL OR conversation_id = ?5)
                AND (?6 IS NULL OR message_id = ?6)
            ORDER BY id DESC LIMIT ?7
            """).Bind(1, tenantId).Bind(2, beforeId).Bind(3, filter.Agent).Bind(4, (long?)filter.Rating).Bind(5, filter.ConversationId).Bind(6, filter.MessageId).Bind(7, limit);
        var list = new List<FeedbackView>();
        while (read.Step()) list.Add(Read(read));
        return list;
    }));

    private static FeedbackView Read(SqliteStatement row) => new()
    {
        Id = row.Text(0), MessageId = row.Text(1), RunId = row.Text(2), ConversationId = row.TextOrNull(3), Agent = row.Text(4), Author = row.Text(5),
        Rating = (int?)row.Int64OrNull(6), Score = (int?)row.Int64OrNull(7), Comment = row.TextOrNull(8), CreatedAt = row.Time(9), UpdatedAt = row.Time(10),
    };
}
