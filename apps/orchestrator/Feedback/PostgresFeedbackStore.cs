using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Messaging;
using Npgsql;

namespace MultiAgent.Orchestrator.Feedback;

/// <summary>Feedback in PostgreSQL.</summary>
internal sealed class PostgresFeedbackStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database, TimeProvider time) : IFeedbackStore
{
    private const string Columns = "f.id, f.message_id, f.run_id, f.conversation_id, f.agent, f.author, f.rating, f.score, f.comment, f.created_at, f.updated_at";

    public Task<FeedbackView?> RecordAsync(string tenantId, string messageId, string author, string? userId, FeedbackRequest request)
    {
        DateTimeOffset now = time.GetUtcNow();
        string newId = Ids.New("fb", now), eventId = Ids.New("evt", now);
        return database.WriteAsync(tenantId, async session =>
        {
            FeedbackView? view = await session.Sql($"""
                INSERT INTO orchestrator.feedback AS f (id, tenant_id, message_id, run_id, conversation_id, agent, author, rating, score, comment, created_at, updated_at)
                SELECT $1, $2, m.id, m.run_id, m.conversation_id, r.agent, $4, $5::integer, $6::integer, $7::text, $8, $8 FROM orchestrator.messages m JOIN orchestrator.runs r ON r.id = m.run_id
                WHERE m.id = $3 AND m.tenant_id = $2 AND m.role = 'assistant' AND m.visible
                ON CONFLICT (tenant_id, message_id, author) DO UPDATE SET rating = excluded.rating, score = excluded.score, comment = excluded.comment, updated_at = excluded.updated_at
                RETURNING {Columns}
                """, newId, tenantId, PostgresText.Storable(messageId), author, request.Rating, request.Score, PostgresText.Storable(request.Comment), now).FirstAsync(Read);
            if (view is null) return null;
            await Outbox.AddAsync(session, database, FeedbackEvent.Of(eventId, tenantId, userId, view));
            return view;
        });
    }

    public async ValueTask<IReadOnlyList<FeedbackView>> ListAsync(string tenantId, FeedbackFilter filter, string? beforeId, int limit) => await database.ReadAsync(tenantId, session => session.Sql($"""
        SELECT {Columns} FROM orchestrator.feedback f
        WHERE f.tenant_id = $1 AND ($2::text IS NULL OR f.id < $2) AND ($3::text IS NULL OR f.agent = $3) AND ($4::integer IS NULL OR f.rating = $4)
            AND ($5::text IS NULL OR f.conversation_id = $5) AND ($6::text IS NULL OR f.message_id = $6)
        ORDER BY f.id DESC LIMIT $7
        """, tenantId, PostgresText.Storable(beforeId), PostgresText.Storable(filter.Agent), filter.Rating, PostgresText.Storable(filter.ConversationId), PostgresText.Storable(filter.MessageId), limit).ListAsync(Read));

    private static FeedbackView Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0), MessageId = row.Text(1), RunId = row.Text(2), ConversationId = row.TextOrNull(3), Agent = row.Text(4), Author = row.Text(5),
        Rating = row.Int32OrNull(6), Score = row.Int32OrNull(7), Comment = row.TextOrNull(8), CreatedAt = row.Time(9), UpdatedAt = row.Time(10),
    };
}
