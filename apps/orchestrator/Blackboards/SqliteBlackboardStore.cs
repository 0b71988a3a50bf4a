using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Blackboards in SQLite, which has one writer.</summary>
internal sealed class SqliteBlackboardStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IBlackboardStore
{
    private const string Select = "SELECT tenant_id, board_run_id, name, version, write_key, run_id, path, agent, given, value, at FROM blackboard_writes ";

    public ValueTask<IReadOnlyList<BlackboardWrite>> CurrentAsync(string tenantId, string boardRunId, long? version = null) => new(database.Read(session => All(session.Prepare(Select + """
        WHERE board_run_id = ?1 AND tenant_id = ?2 AND version IN (SELECT max(version) FROM blackboard_writes WHERE board_run_id = ?1 AND tenant_id = ?2 AND (?3 IS NULL OR version <= ?3) GROUP BY name) ORDER BY name
        """).Bind(1, boardRunId).Bind(2, tenantId).Bind(3, version))));

    public ValueTask<IReadOnlyList<BlackboardWrite>> WritesAsync(string tenantId, string boardRunId, string? name, long afterVersion, int limit) => new(database.Read(session => All(session
        .Prepare(Select + "WHERE board_run_id = ?1 AND tenant_id = ?2 AND version > ?3 AND (?4 IS NULL OR name = ?4) ORDER BY version LIMIT ?5")
        .Bind(1, boardRunId).Bind(2, tenantId).Bind(3, afterVersion).Bind(4, name).Bind(5, limit))));

    public Task<BlackboardWrite> WriteAsync(BlackboardWrite write, Func<BlackboardWrite?, long, byte[]> merge) => database.Writer.WriteAsync(session =>
    {
        if (Single(session.Prepare(Select + "WHERE board_run_id = ?1 AND tenant_id = ?2 AND write_key = ?3").Bind(1, write.BoardRunId).Bind(2, write.TenantId).Bind(3, write.Key)) is { } known) return known;
        BlackboardWrite? last = Single(session.Prepare(Select + "WHERE board_run_id = ?1 AND tenant_id = ?2 ORDER BY version DESC LIMIT 1").Bind(1, write.BoardRunId).Bind(2, write.TenantId));
        BlackboardWrite? before = Single(session.Prepare(Select + "WHERE board_run_id = ?1 AND tenant_id = ?2 AND name = ?3 ORDER BY version DESC LIMIT 1").Bind(1, write.BoardRunId).Bind(2, write.TenantId).Bind(3, write.Name));
        long version = last?.Version ?? 0;
        BlackboardWrite made = write with { Value = merge(before, version), Version = version + 1 };
        Insert(session, made);
        return made;
    });

    public Task<int> ForgetAsync(string beforeRunId, int batch) => database.Writer.WriteAsync(session => session.Prepare("""
        /* all tenants */ DELETE FROM blackboard_writes WHERE (board_run_id, version) IN (SELECT board_run_id, version FROM blackboard_writes
            WHERE board_run_id < ?1 AND board_run_id NOT IN (SELECT id FROM runs WHERE status IN ('queued', 'running', 'waiting', 'paused')) LIMIT ?2)
        """).Bind(1, beforeRunId).Bind(2, batch).Execute());

    /// <summary>Adds a write as it is.</summary>
    public static void Insert(SqliteSession session, BlackboardWrite write) => session.Prepare("""
        INSERT INTO blackboard_writes (tenant_id, board_run_id, name, version, write_key, run_id, path, agent, given, value, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
        """)
        .Bind(1, write.TenantId).Bind(2, write.BoardRunId).Bind(3, write.Name).Bind(4, write.Version).Bind(5, write.Key).Bind(6, write.RunId).Bind(7, write.Path).Bind(8, write.Agent)
        .BindBlob(9, write.Given).BindBlob(10, write.Value).Bind(11, write.At).Execute();

    private static BlackboardWrite? Single(SqliteStatement row)
    {
        BlackboardWrite? write = row.Step() ? Read(row) : null;
        row.Reset();
        return write;
    }

    private static IReadOnlyList<BlackboardWrite> All(SqliteStatement rows)
    {
        var writes = new List<BlackboardWrite>();
        while (rows.Step()) writes.Add(Read(rows));
        return writes;
    }

    private static BlackboardWrite Read(SqliteStatement row) => new()
    {
        TenantId = row.Text(0),
        BoardRunId = row.Text(1),
        Name = row.Text(2),
        Version = row.Int64(3),
        Key = row.Text(4),
        RunId = row.Text(5),
        Path = row.Text(6),
        Agent = row.TextOrNull(7),
        Given = row.Bytes(8).ToArray(),
        Value = row.Bytes(9).ToArray(),
        At = row.Time(10),
    };
}
