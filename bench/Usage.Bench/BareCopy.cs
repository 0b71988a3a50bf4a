using System.Text.Json;
using MultiAgent.Contracts.Events;
using Npgsql;
using NpgsqlTypes;

namespace MultiAgent.Bench.Usage;

/// <summary>
/// The baseline: Npgsql's COPY into a table of the same columns and key, without row-level security, partitions, and a look for records that are there
/// already. It reads the same events.
/// </summary>
internal sealed class BareCopy : IContestant
{
    private readonly NpgsqlDataSource _source;

    private BareCopy(NpgsqlDataSource source) => _source = source;

    public static async Task<BareCopy> CreateAsync(PostgresProcess postgres)
    {
        var bare = new BareCopy(NpgsqlDataSource.Create(postgres.SuperUser));
        await using var create = bare._source.CreateCommand("CREATE TABLE bare_usage AS SELECT * FROM analytics_service.usage WITH NO DATA; ALTER TABLE bare_usage ADD PRIMARY KEY (tenant_id, at, id)");
        await create.ExecuteNonQueryAsync();
        return bare;
    }

    public async Task StoreAsync(IReadOnlyList<EventEnvelope> events)
    {
        await using var connection = await _source.OpenConnectionAsync();
        await using var import = await connection.BeginBinaryImportAsync("""
            COPY bare_usage (id, tenant_id, api_key_id, user_id, request_id, run_id, agent, operation, requested_model, model, provider, input_tokens, cached_input_tokens, cache_write_tokens,
                output_tokens, reasoning_tokens, estimated, cost_pico_usd, status, error_code, stream, attempt, latency_ms, first_token_ms, at) FROM STDIN (FORMAT BINARY)
            """);
        foreach (var e in events)
        {
            foreach (var r in JsonSerializer.Deserialize(e.Data.Span, EventJson.Default.UsageBatch)!.Records)
            {
                await import.StartRowAsync();
                foreach (var text in (string?[])[r.Id, r.TenantId, r.ApiKeyId, r.UserId, r.RequestId, r.RunId, r.Agent, r.Operation, r.RequestedModel, r.Model, r.Provider])
                {
                    if (text is null) await import.WriteNullAsync();
                    else await import.WriteAsync(text, NpgsqlDbType.Text);
                }
                foreach (var number in (long[])[r.InputTokens, r.CachedInputTokens, r.CacheWriteTokens, r.OutputTokens, r.ReasoningTokens]) await import.WriteAsync(number, NpgsqlDbType.Bigint);
                await import.WriteAsync(r.Estimated, NpgsqlDbType.Boolean);
                await import.WriteAsync((long)(r.CostUsd!.Value * 1_000_000_000_000m), NpgsqlDbType.Bigint);
                await import.WriteAsync(r.Status, NpgsqlDbType.Text);
                await import.WriteNullAsync();
                await import.WriteAsync(r.Stream, NpgsqlDbType.Boolean);
                await import.WriteAsync(r.Attempt, NpgsqlDbType.Integer);
                await import.WriteAsync(r.LatencyMs, NpgsqlDbType.Double);
                await import.WriteAsync(r.FirstTokenMs!.Value, NpgsqlDbType.Double);
                await import.WriteAsync(r.At.UtcDateTime, NpgsqlDbType.TimestampTz);
            }
        }
        await import.CompleteAsync();
    }

    public async Task<long> CountAsync()
    {
        await using var count = _source.CreateCommand("SELECT count(*) FROM bare_usage");
        return (long)(await count.ExecuteScalarAsync())!;
    }

    public ValueTask DisposeAsync() => _source.DisposeAsync();
}
