using MultiAgent.Data.Postgres;
using MultiAgent.Models;
using Npgsql;

namespace MultiAgent.Orchestrator.Runs.Storage;

/// <summary>Reads rows of <c>runs</c> from PostgreSQL.</summary>
internal static class PostgresRunRows
{
    /// <summary>The columns of the table with the alias <c>r</c>, in the order of <see cref="Read"/>.</summary>
    public const string Columns = """
        r.id, r.tenant_id, r.conversation_id, r.agent_id, r.agent, r.agent_version, r.surface, r.status, r.reason, r.error_status, r.error_code, r.error_message, r.idempotency_key,
            r.request_hash, r.request_id, r.api_key_id, r.user_id, r.journey_id, r.trace_parent, r.metadata, r.steps, r.input_tokens, r.output_tokens, r.cost_usd, r.created_at, r.started_at,
            r.ended_at, r.cached_input_tokens, r.reasoning_tokens, r.usage_estimated, r.lease_owner, r.lease_epoch, r.kind, r.parent_run_id, r.output
        """;

    /// <summary>Place of the first column after <see cref="Columns"/>.</summary>
    public const int Count = 35;

    public const string Select = "SELECT " + Columns + " FROM orchestrator.runs r ";

    public static RunRecord Read(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0),
        TenantId = row.Text(1),
        ConversationId = row.TextOrNull(2),
        AgentId = row.Text(3),
        Agent = row.Text(4),
        AgentVersion = row.Int32(5),
        Surface = row.Text(6),
        Status = RunStatusNames.TryParse(row.Text(7), out RunStatus status) ? status : throw new InvalidOperationException($"Run {row.Text(0)} has an unknown status."),
        Reason = row.TextOrNull(8),
        Error = row.IsDBNull(10) ? null : new RunError(row.Int32(9), row.Text(10), row.TextOrNull(11) ?? ""),
        IdempotencyKey = row.TextOrNull(12),
        RequestHash = row.TextOrNull(13),
        RequestId = row.Text(14),
        ApiKeyId = row.TextOrNull(15),
        UserId = row.TextOrNull(16),
        JourneyId = row.Text(17),
        TraceParent = row.TextOrNull(18),
        Metadata = row.TextOrNull(19),
        Steps = row.Int32(20),
        Usage = new TokenUsage(row.Int64(21), row.Int64(22), CachedInputTokens: row.Int64(27), ReasoningTokens: row.Int64(28), Estimated: row.Boolean(29)),
        CostUsd = row.IsDBNull(23) ? null : row.GetDecimal(23),
        CreatedAt = row.Time(24),
        StartedAt = row.TimeOrNull(25),
        EndedAt = row.TimeOrNull(26),
        LeaseOwner = row.TextOrNull(30),
        LeaseEpoch = row.Int64(31),
        Kind = RunKindNames.Parse(row.Text(32)),
        ParentRunId = row.TextOrNull(33),
        Output = row.IsDBNull(34) ? null : row.Bytes(34),
    };
}
