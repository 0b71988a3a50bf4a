using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Memory;

/// <summary>Facts in SQLite.</summary>
internal sealed class SqliteMemoryStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IMemoryStore
{
    private const string Columns = "SELECT id, subject, text, agent, run_id, conversation_id, author, created_at, used_at, uses FROM memories ";

    public Task<Fact> RememberAsync(string tenantId, Fact fact, int max) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("""
            INSERT INTO memories (id, tenant_id, subject, digest, text, agent, run_id, conversation_id, author, created_at, used_at, uses) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0)
            ON CONFLICT (tenant_id, subject, digest) DO UPDATE SET used_at = max(used_at, excluded.used_at)
            """)
            .Bind(1, fact.Id).Bind(2, tenantId).Bind(3, fact.Subject).Bind(4, fact.Digest).Bind(5, fact.Text).Bind(6, fact.Agent).Bind(7, fact.RunId).Bind(8, fact.ConversationId).Bind(9, fact.Author)
            .Bind(10, fact.CreatedAt).Bind(11, fact.UsedAt).Execute();
        session.Prepare("DELETE FROM memories WHERE id IN (SELECT id FROM memories WHERE tenant_id = ?1 AND subject = ?2 ORDER BY used_at DESC, id DESC LIMIT -1 OFFSET ?3)")
            .Bind(1, tenantId).Bind(2, fact.Subject).Bind(3, max).Execute();
        return Single(session.Prepare(Columns + "WHERE tenant_id = ?1 AND subject = ?2 AND digest = ?3").Bind(1, tenantId).Bind(2, fact.Subject).Bind(3, fact.Digest))!;
    });

    public ValueTask<Fact?> FindAsync(string tenantId, string id) => new(database.Read(session => Single(session.Prepare(Columns + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId))));

    public ValueTask<IReadOnlyList<Fact>> OfAsync(string tenantId, IReadOnlyList<string> subjects) => new(database.Read<IReadOnlyList<Fact>>(session =>
        [.. subjects.SelectMany(subject => All(session.Prepare(Columns + "WHERE tenant_id = ?1 AND subject = ?2").Bind(1, tenantId).Bind(2, subject)))]));

    public ValueTask<IReadOnlyList<Fact>> ListAsync(string tenantId, string? subject, string? beforeId, int limit) => new(database.Read<IReadOnlyList<Fact>>(session =>
        All(session.Prepare(Columns + "WHERE tenant_id = ?1 AND (?2 IS NULL OR subject = ?2) AND (?3 IS NULL OR id < ?3) ORDER BY id DESC LIMIT ?4").Bind(1, tenantId).Bind(2, subject).Bind(3, beforeId).Bind(4, limit))));

    public Task UsedAsync(string tenantId, IReadOnlyList<string> ids, DateTimeOffset now) => database.Writer.WriteAsync(session =>
    {
        foreach (string id in ids) session.Prepare("UPDATE memories SET used_at = max(used_at, ?3), uses = uses + 1 WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Bind(3, now).Execute();
    });

    public Task<bool?> ChangeAsync(string tenantId, Fact fact) => database.Writer.WriteAsync<bool?>(session =>
    {
        SqliteStatement same = session.Prepare("SELECT 1 FROM memories WHERE tenant_id = ?1 AND subject = ?2 AND digest = ?3 AND id <> ?4").Bind(1, tenantId).Bind(2, fact.Subject).Bind(3, fact.Digest).Bind(4, fact.Id);
        bool taken = same.Step();
        same.Reset();
        if (taken) return null;
        return session.Prepare("UPDATE memories SET text = ?3, digest = ?4, used_at = ?5 WHERE id = ?1 AND tenant_id = ?2").Bind(1, fact.Id).Bind(2, tenantId).Bind(3, fact.Text).Bind(4, fact.Digest).Bind(5, fact.UsedAt).Execute() > 0;
    });

    public Task<bool> ForgetAsync(string tenantId, string id) => database.Writer.WriteAsync(session =>
        session.Prepare("DELETE FROM memories WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute() > 0);

    public Task<int> ForgetAllAsync(string tenantId, string subject) => database.Writer.WriteAsync(session =>
        session.Prepare("DELETE FROM memories WHERE tenant_id = ?1 AND subject = ?2").Bind(1, tenantId).Bind(2, subject).Execute());

    public Task<int> ForgetUnusedAsync(DateTimeOffset since, int batch) => database.Writer.WriteAsync(session =>
        session.Prepare("/* all tenants */ DELETE FROM memories WHERE id IN (SELECT id FROM memories WHERE used_at < ?1 LIMIT ?2)").Bind(1, since).Bind(2, batch).Execute());

    private static Fact? Single(SqliteStatement row)
    {
        Fact? fact = row.Step() ? Read(row) : null;
        row.Reset();
        return fact;
    }

    private static List<Fact> All(SqliteStatement rows)
    {
        var facts = new List<Fact>();
        while (rows.Step()) facts.Add(Read(rows));
        return facts;
    }

    private static Fact Read(SqliteStatement row) => new()
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
        Uses = (int)row.Int64(9),
    };
}
