using System.Globalization;
using MultiAgent.Data.Sqlite;
using MultiAgent.Models;

namespace MultiAgent.Orchestrator.Runs.Storage;

/// <summary>Reads rows of <c>runs</c> from SQLite.</summary>
internal static class SqliteRunRows
{
    public const string Select = """
        SELECT id, tenant_id, conversation_id, agent_id, agent, agent_version, surface, status, reason, error_status, error_code, error_message, idempotency_key,
            request_hash, request_id, api_key_id, user_id, journey_id, trace_parent, metadata, steps, input_tokens, output_tokens, cost_usd, created_at, started_at, ended_at,
            cached_input_tokens, reasoning_tokens, usage_estimated, lease_owner, lease_epoch, kind, parent_run_id, output, cancel_requested, pause_requested
        FROM runs 
        """ + " ";

    /// <summary>Place of <c>cancel_requested</c>, the column after those of <see cref="Read"/>; <c>pause_requested</c> comes after it.</summary>
    public const int Count = 35;

    public static RunRecord? Single(SqliteStatement statement)
    {
        RunRecord? run = statement.Step() ? Read(statement) : null;
        statement.Reset();
        return run;
    }

    public static IReadOnlyList<RunRecord> All(SqliteStatement statement)
    {
        var runs = new List<RunRecord>();
        while (statement.Step()) runs.Add(Read(statement));
        return runs;
    }

    /// <summary>The row that the statement stands on.</summary>
    public static RunRecord Read(SqliteStatement row) => new()
    {
        Id = row.Text(0),
        TenantId = row.Text(1),
        ConversationId = row.TextOrNull(2),
        AgentId = row.Text(3),
        Agent = row.Text(4),
        AgentVersion = (int)row.Int64(5),
        Surface = row.Text(6),
        Status = RunStatusNames.TryParse(row.Text(7), out RunStatus status) ? status : throw new InvalidOperationException($"Run {row.Text(0)} has an unknown status."),
        Reason = row.TextOrNull(8),
        Error = row.IsNull(10) ? null : new RunError((int)row.Int64(9), row.Text(10), row.TextOrNull(11) ?? ""),
        IdempotencyKey = row.TextOrNull(12),
        RequestHash = row.TextOrNull(13),
        RequestId = row.Text(14),
        ApiKeyId = row.TextOrNull(15),
        UserId = row.TextOrNull(16),
        JourneyId = row.Text(17),
        TraceParent = row.TextOrNull(18),
        Metadata = row.TextOrNull(19),
        Steps = (int)row.Int64(20),
        Usage = new TokenUsage(row.Int64(21), row.Int64(22), CachedInputTokens: row.Int64(27), ReasoningTokens: row.Int64(28), Estimated: row.Int64(29) != 0),
        CostUsd = row.TextOrNull(23) is { } cost ? decimal.Parse(cost, CultureInfo.InvariantCulture) : null,
        CreatedAt = row.Time(24),
        StartedAt = row.TimeOrNull(25),
        EndedAt = row.TimeOrNull(26),
        LeaseOwner = row.TextOrNull(30),
        LeaseEpoch = row.Int64(31),
        Kind = RunKindNames.Parse(row.Text(32)),
        ParentRunId = row.TextOrNull(33),
        Output = row.Bytes(34) is { Length: > 0 } output ? output.ToArray() : null,
    };
}
