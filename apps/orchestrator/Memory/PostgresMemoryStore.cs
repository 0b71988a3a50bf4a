using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Orchestrator.Memory;

/// <summary>Facts in PostgreSQL.</summary>
internal sealed class PostgresMemoryStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IMemoryStore
{
    private const string Names = "id, subject, text, agent, run_id, conversation_id, author, created_at, used_at, uses";
    private const string Columns = $"SELECT {Names} FROM orchestrator.memories ";

    public Task<Fact> RememberAsync(string tenantId, Fact fact, int max) => database.WriteAsync(tenantId, async session =>
    {
        Fact kept = (await session.Sql($"""
            INSERT INTO orchestrator.memories AS m (id, tenant_id, subject, digest, text, agent, run_id, conversation_id, author, created_at, used_at, uses)
            VALUES ($1, $2, $3, $4, $5, $6::text, $7::text, $8::text, $9::text, $10, $11, 0)
            ON CONFLICT (tenant_id, subject, digest) DO UPDATE SET used_at = greatest(m.used_at, excluded.used_at)
            RETURNING {Names}
            """, fact.Id, tenantId, PostgresText.Storable(fact.Subject), fact.Digest, PostgresText.Storable(fact.Text), PostgresText.Storable(fact.Agent), fact.RunId, fact.ConversationId, PostgresText.Storable(fact.Author),
            fact.CreatedAt, fact.UsedAt).FirstAsync(Read))!;
        await session.Sql("""
            DELETE FROM orchestrator.memories WHERE tenant_id = $1 AND id IN (SELECT id FROM orchestrator.memories WHERE tenant_id = $1 AND subject = $2 ORDER BY used_at DESC, id DESC OFFSET $3)
            """, tenantId, PostgresText.Storable(fact.Subject), max).ExecuteAsync();
        return kept;
    });

    public async ValueTask<Fact?> FindAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(Columns + "WHERE id = $1 AND tenant_id = $2", PostgresText.Storable(id), tenantId).FirstAsync(Read));

    public async ValueTask<IReadOnlyList<Fact>> OfAsync(string tenantId, IReadOnlyList<string> subjects) => await database.ReadAsync(tenantId, session =>
        session.Sql(Columns + "WHERE tenant_id = $1 AND subject = ANY ($2::text[])", tenantId, (string[])[.. subjects]).ListAsync(Read));

    public async ValueTask<IReadOnlyList<Fact>> ListAsync(string tenantId, string? subject, string? beforeId, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql(Columns + "WHERE tenant_id = $1 AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
            tenantId, PostgresText.Storable(subject), PostgresText.Storable(beforeId), limit).ListAsync(Read));

    public Task UsedAsync(string tenantId, IReadOnlyList<string> ids, DateTimeOffset now) => database.WriteAsync(tenantId, async session =>
    {
        await session.Sql("UPDATE orchestrator.memories SET used_at = greatest(used_at, $3), uses = uses + 1 WHERE id = ANY ($1::text[]) AND tenant_id = $2", (string[])[.. ids], tenantId, now).ExecuteAsync();
        return true;
    });

    public Task<bool?> ChangeAsync(string tenantId, Fact fact) => database.WriteAsync<bool?>(tenantId, async session =>
    {
        if (await session.Sql("SELECT 1 FROM orchestrator.memories WHERE tenant_id = $1 AND subject = $2 AND digest = $3 AND id <> $4", tenantId, fact.Subject, fact.Digest, fact.Id).FirstAsync(static _ => true)) return null;
        return await session.Sql("UPDATE orchestrator.memories SET text = $3, digest = $4, used_at = $5 WHERE id = $1 AND tenant_id = $2", fact.Id, tenantId, PostgresText.Storable(fact.Text), fact.Digest, fact.UsedAt).ExecuteAsync() > 0;
    });

    public Task<bool> ForgetAsync(string tenantId, string id) => database.WriteAsync(tenantId, async session =>
        await session.Sql("DELETE FROM orchestrator.memories WHERE id = $1 AND tenant_id = $2", PostgresText.Storable(id), tenantId).ExecuteAsync() > 0);

    public Task<int> ForgetAllAsync(string tenantId, string subject) => database.WriteAsync(tenantId, session =>
        session.Sql("DELETE FROM orchestrator.memories WHERE tenant_id = $1 AND subject = $2", tenantId, PostgresText.Storable(subject)).ExecuteAsync());

    public Task<int> ForgetUnusedAsync(DateTimeOffset since, int batch) => database.WriteAsync(TenantScope.System("memories that faded"), session => session.Sql("""
        /* all tenants */ DELETE FROM orchestrator.memories WHERE id IN (SELECT id FROM orchestrator.memories WHERE used_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
        """, since, batch).ExecuteAsync());

    private static Fact Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0),
        Subject = row.Text(1),
        Text = row.Text(2),
        Agent = row.TextOrNull(3),
        RunId = row.TextOrNull(4),
        ConversationId = row.TextOrNull(5),
        Author = row.TextOrNull(6),
        CreatedAt = row.Time(7),
        UsedAt = row.Time(8),
        Uses = row.Int32OrNull(9) ?? 0,
    };
}
