using MultiAgent.Data.Postgres;
using Npgsql;
using NpgsqlTypes;

namespace MultiAgent.Orchestrator.Runs.Storage;

/// <summary>The statements that write a run. They come in batches that are carried out together or not at all, without an answer in between.</summary>
internal static class PostgresRunStatements
{
    /// <summary>A new run; <paramref name="whileIdle"/>: only while its conversation has no active one.</summary>
    /// <param name="refused">Thrown when the run is not stored: its key is known, or its conversation busy.</param>
    public static void Insert(WriteBatch batch, RunRecord run, RunStatus status, TimeSpan lease, bool whileIdle, Func<Exception> refused) => batch.AddRequired(refused, $"""
        INSERT INTO orchestrator.runs (id, tenant_id, conversation_id, agent_id, agent, agent_version, surface, status, idempotency_key, request_hash, request_id,
            api_key_id, user_id, journey_id, trace_parent, metadata, created_at, started_at, lease_owner, lease_epoch, lease_until, kind, parent_run_id)
        SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, now() + $21, $22, $23
        {(whileIdle ? "WHERE NOT EXISTS (SELECT 1 FROM orchestrator.runs WHERE conversation_id = $3 AND tenant_id = $2 AND status IN ('queued', 'running', 'waiting'))" : "")}
        ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
        """,
        run.Id, run.TenantId, Text(run.ConversationId), run.AgentId, run.Agent, run.AgentVersion, run.Surface, RunStatusNames.Of(status), Text(run.IdempotencyKey), Text(run.RequestHash), run.RequestId,
        Text(run.ApiKeyId), Text(run.UserId), run.JourneyId, Text(run.TraceParent), Text(run.Metadata), run.CreatedAt, Time(status == RunStatus.Running ? run.CreatedAt : null),
        Text(run.LeaseOwner), run.LeaseEpoch, lease, RunKindNames.Of(run.Kind), Text(run.ParentRunId));

    public static void CreateConversation(WriteBatch batch, RunRecord run, string? title) => batch.Add(
        "INSERT INTO orchestrator.conversations (id, tenant_id, agent, title, user_id, api_key_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        run.ConversationId, run.TenantId, run.Agent, Text(title), Text(run.UserId), Text(run.ApiKeyId), run.CreatedAt);

    /// <summary>Marks the conversation as used, and holds its row: what is accepted into it, is accepted one after the other.</summary>
    public static void TouchConversation(WriteBatch batch, RunRecord run, string? title, Func<Exception> missing) => batch.AddRequired(missing, """
        UPDATE orchestrator.conversations SET updated_at = greatest(updated_at, $3), title = coalesce(title, $4), agent = coalesce(agent, $5)
        WHERE id = $1 AND tenant_id = $2 AND deleted_at IS NULL
        """, run.ConversationId, run.TenantId, run.CreatedAt, Text(title), run.Agent);

    /// <summary>Events of a run that this transaction has made.</summary>
    public static void Append(WriteBatch batch, RunRecord run, IReadOnlyList<RunEvent> events)
    {
        if (events.Count == 0) return;
        (long[] seqs, string[] types, NpgsqlParameter times, byte[][] data) = Columns(events);
        batch.Add("""
            INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data)
            SELECT $1, e.seq, $2, e.type, e.at, e.data FROM unnest($3::bigint[], $4::text[], $5::timestamptz[], $6::bytea[]) AS e (seq, type, at, data)
            """, run.Id, run.TenantId, seqs, types, times, data);
    }

    /// <summary>
    /// Events of a run, provided that it is still held under the epoch and in one of these states. The row stays held until the commit, so that nobody takes
    /// it up in between. First in its batch: what follows may rely on it, and its refusal is told rather than theirs.
    /// </summary>
    public static void AppendFenced(WriteBatch batch, RunRecord run, IReadOnlyList<RunEvent> events, string states, Func<Exception> otherwise)
    {
        (long[] seqs, string[] types, NpgsqlParameter times, byte[][] data) = Columns(events);
        batch.AddRequired(otherwise, $"""
            INSERT INTO orchestrator.run_events (run_id, seq, tenant_id, type, at, data)
            SELECT $1, e.seq, $2, e.type, e.at, e.data
            FROM (SELECT 1 FROM orchestrator.runs WHERE id = $1 AND tenant_id = $2 AND lease_epoch = $7 AND status IN ({states}) FOR UPDATE) held,
                unnest($3::bigint[], $4::text[], $5::timestamptz[], $6::bytea[]) AS e (seq, type, at, data)
            """, run.Id, run.TenantId, seqs, types, times, data, run.LeaseEpoch);
    }

    /// <summary>The final row of a run that the batch holds.</summary>
    public static void End(WriteBatch batch, RunRecord run) => batch.Add("""
        UPDATE orchestrator.runs SET status = $3, reason = $4, error_status = $5, error_code = $6, error_message = $7, steps = $8, input_tokens = $9, output_tokens = $10, cost_usd = $11, ended_at = $12,
            cached_input_tokens = $13, reasoning_tokens = $14, usage_estimated = $15, lease_until = NULL, idempotency_key = CASE WHEN $16 THEN NULL ELSE idempotency_key END, output = $17
        WHERE id = $1 AND tenant_id = $2
        """,
        run.Id, run.TenantId, RunStatusNames.Of(run.Status), Text(run.Reason), new NpgsqlParameter { Value = (object?)run.Error?.Status ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Integer },
        Text(run.Error?.Code), Text(run.Error?.Message), run.Steps, run.Usage.InputTokens, run.Usage.OutputTokens, new NpgsqlParameter { Value = (object?)run.CostUsd ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Numeric },
        Time(run.EndedAt), run.Usage.CachedInputTokens, run.Usage.ReasoningTokens, run.Usage.Estimated,
        // A repetition may do better, and is a run of its own.
        run.Error is { Status: >= 500 or 408 or 429 }, new NpgsqlParameter { Value = (object?)run.Output ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea });

    /// <summary>Messages of the run's conversation, if it is still there: its deletion must not be undone by a run that was active.</summary>
    public static void AddMessages(WriteBatch batch, RunRecord run, IReadOnlyList<NewMessage> messages)
    {
        if (run.ConversationId is null) return;
        foreach (NewMessage message in messages)
        {
            batch.Add("""
                INSERT INTO orchestrator.messages (id, tenant_id, conversation_id, run_id, role, visible, wire, created_at)
                SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM (SELECT 1 FROM orchestrator.conversations WHERE id = $3 AND tenant_id = $2 AND deleted_at IS NULL FOR SHARE) there
                """, message.Id, run.TenantId, run.ConversationId, run.Id, message.Role, message.Visible, message.Wire, message.At);
        }
    }

    public static NpgsqlParameter Text(string? value) => new() { Value = (object?)PostgresText.Storable(value) ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text };

    public static NpgsqlParameter Time(DateTimeOffset? value) => new() { Value = value is { } time ? PostgresTime.Of(time) : DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz };

    private static (long[] Seqs, string[] Types, NpgsqlParameter Times, byte[][] Data) Columns(IReadOnlyList<RunEvent> events)
    {
        var (seqs, types, times, data) = (new long[events.Count], new string[events.Count], new DateTime[events.Count], new byte[events.Count][]);
        for (int i = 0; i < events.Count; i++) (seqs[i], types[i], times[i], data[i]) = (events[i].Seq, events[i].Type, PostgresTime.Of(events[i].At), events[i].Data);
        return (seqs, types, new NpgsqlParameter { Value = times, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz }, data);
    }
}
