using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Runs.Storage;
using Npgsql;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Blackboards in PostgreSQL. Whoever writes holds the row of the board's run: writers wait for each other, and for nothing else.</summary>
internal sealed class PostgresBlackboardStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IBlackboardStore
{
    private const string Select = "SELECT tenant_id, board_run_id, name, version, write_key, run_id, path, agent, given, value, at FROM orchestrator.blackboard_writes ";

    public async ValueTask<IReadOnlyList<BlackboardWrite>> CurrentAsync(string tenantId, string boardRunId, long? version = null) => await database.ReadAsync(tenantId, session => session.Sql(Select + """
        WHERE board_run_id = $1 AND tenant_id = $2 AND version IN (SELECT max(version) FROM orchestrator.blackboard_writes WHERE board_run_id = $1 AND tenant_id = $2 AND ($3::bigint IS NULL OR version <= $3) GROUP BY name)
        ORDER BY name
        """, boardRunId, tenantId, version).ListAsync(Read));

    public async ValueTask<IReadOnlyList<BlackboardWrite>> WritesAsync(string tenantId, string boardRunId, string? name, long afterVersion, int limit) => await database.ReadAsync(tenantId, session => session
        .Sql(Select + "WHERE board_run_id = $1 AND tenant_id = $2 AND version > $3 AND ($4::text IS NULL OR name = $4) ORDER BY version LIMIT $5", boardRunId, tenantId, afterVersion, PostgresText.Storable(name), limit).ListAsync(Read));

    public Task<BlackboardWrite> WriteAsync(BlackboardWrite write, Func<BlackboardWrite?, long, byte[]> merge) => database.WriteAsync(write.TenantId, async session =>
    {
        await session.Sql("SELECT 1 FROM orchestrator.runs WHERE id = $1 AND tenant_id = $2 FOR NO KEY UPDATE", write.BoardRunId, write.TenantId).FirstAsync(static _ => true);
        if (await session.Sql(Select + "WHERE board_run_id = $1 AND tenant_id = $2 AND write_key = $3", write.BoardRunId, write.TenantId, write.Key).FirstAsync(Read) is { } known) return known;
        BlackboardWrite? last = await session.Sql(Select + "WHERE board_run_id = $1 AND tenant_id = $2 ORDER BY version DESC LIMIT 1", write.BoardRunId, write.TenantId).FirstAsync(Read);
        BlackboardWrite? before = await session.Sql(Select + "WHERE board_run_id = $1 AND tenant_id = $2 AND name = $3 ORDER BY version DESC LIMIT 1", write.BoardRunId, write.TenantId, write.Name).FirstAsync(Read);
        long version = last?.Version ?? 0;
        BlackboardWrite made = write with { Value = merge(before, version), Version = version + 1 };
        var batch = new WriteBatch();
        Insert(batch, made);
        await session.ExecuteAllAsync(batch);
        return made;
    });

    public Task<int> ForgetAsync(string beforeRunId, int batch) => database.WriteAsync(TenantScope.System("blackboards of old runs"), session => session.Sql("""
        /* all tenants */ DELETE FROM orchestrator.blackboard_writes WHERE (board_run_id, version) IN (SELECT b.board_run_id, b.version FROM orchestrator.blackboard_writes b
            WHERE b.board_run_id < $1 AND NOT EXISTS (SELECT 1 FROM orchestrator.runs r WHERE r.id = b.board_run_id AND r.status IN ('queued', 'running', 'waiting', 'paused')) LIMIT $2)
        """, beforeRunId, batch).ExecuteAsync());

    /// <summary>Adds a write as it is.</summary>
    public static void Insert(WriteBatch batch, BlackboardWrite write) => batch.Add("""
        INSERT INTO orchestrator.blackboard_writes (tenant_id, board_run_id, name, version, write_key, run_id, path, agent, given, value, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """, write.TenantId, write.BoardRunId, write.Name, write.Version, write.Key, write.RunId, write.Path, PostgresRunStatements.Text(write.Agent), write.Given, write.Value, write.At);

    private static BlackboardWrite Read(NpgsqlDataReader row) => new()
    {
        TenantId = row.Text(0),
        BoardRunId = row.Text(1),
        Name = row.Text(2),
        Version = row.Int64(3),
        Key = row.Text(4),
        RunId = row.Text(5),
        Path = row.Text(6),
        Agent = row.TextOrNull(7),
        Given = row.Bytes(8),
        Value = row.Bytes(9),
        At = row.Time(10),
    };
}
