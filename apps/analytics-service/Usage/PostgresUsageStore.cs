using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics.Records;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Analytics.Usage;

/// <summary>Usage records in PostgreSQL. They come by COPY; reads go to the replica where there is one.</summary>
internal sealed class PostgresUsageStore([FromKeyedServices(AnalyticsModule.Service)] PostgresDatabase database) : IUsageStore
{
    private const decimal PicoPerUsd = 1_000_000_000_000m;
    private const int MaxGroups = 1000;
    private const string Where = "tenant_id = $1 AND at >= $2 AND at < $3 AND ($4::text IS NULL OR model = $4) AND ($5::text IS NULL OR agent = $5) AND ($6::text IS NULL OR api_key_id = $6)";

    private static readonly PostgresRecords Records = new(UsageSchema.Columns, "analytics_service.usage", "usage records of events");

    public Task AddAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches) => Records.AddAsync(database, batches);

    public async ValueTask<IReadOnlyList<UsageGroup>> SummarizeAsync(UsageFilter filter, IReadOnlyList<RecordGrouping> groups)
    {
        string keys = string.Concat(groups.Select(g => g.Postgres + ", "));
        string order = string.Join(", ", groups.Where(g => g.IsTime).Select(g => g.Postgres).Append("sum(cost_pico_usd) DESC NULLS LAST, count(*) DESC"));
        int n = groups.Count;
        return await ReadAsync(filter, session => session.Sql($"""
            SELECT {keys}count(*), count(*) FILTER (WHERE status <> 'ok'), coalesce(sum(input_tokens), 0)::bigint, coalesce(sum(cached_input_tokens), 0)::bigint, coalesce(sum(output_tokens), 0)::bigint,
                coalesce(sum(reasoning_tokens), 0)::bigint, coalesce(sum(cost_pico_usd), 0), count(*) FILTER (WHERE cost_pico_usd IS NULL), count(*) FILTER (WHERE estimated), avg(latency_ms), avg(first_token_ms)
            FROM analytics_service.usage WHERE {Where}
            {(n == 0 ? "" : $"GROUP BY {string.Join(", ", groups.Select(g => g.Postgres))} ORDER BY {order} LIMIT {MaxGroups}")}
            """, Values(filter)).ListAsync(row => new UsageGroup
        {
            Group = n == 0 ? null : groups.Select((g, i) => (g.Name, Value: row.TextOrNull(i))).ToDictionary(g => g.Name, g => g.Value),
            Requests = row.Int64(n),
            Errors = row.Int64(n + 1),
            InputTokens = row.Int64(n + 2),
            CachedInputTokens = row.Int64(n + 3),
            OutputTokens = row.Int64(n + 4),
            ReasoningTokens = row.Int64(n + 5),
            CostUsd = row.GetDecimal(n + 6) / PicoPerUsd,
            RequestsOfUnknownCost = row.Int64(n + 7),
            EstimatedRequests = row.Int64(n + 8),
            AverageLatencyMs = Round(row.DoubleOrNull(n + 9)),
            AverageFirstTokenMs = Round(row.DoubleOrNull(n + 10)),
        }));
    }

    public async ValueTask<IReadOnlyList<UsageItem>> ListAsync(UsageFilter filter, RecordPosition? after, int limit) => await ReadAsync(filter, session => session.Sql($"""
        SELECT id, at, api_key_id, user_id, request_id, run_id, agent, operation, requested_model, model, input_tokens, cached_input_tokens, output_tokens,
            reasoning_tokens, estimated, cost_pico_usd, status, error_code, stream, attempt, latency_ms, first_token_ms
        FROM analytics_service.usage WHERE {Where} AND ($7::timestamptz IS NULL OR (at, id) < ($7, $8::text)) ORDER BY at DESC, id DESC LIMIT $9
        """, [.. Values(filter), after is { } position ? DateTimeOffset.FromUnixTimeMilliseconds(position.At) : null, PostgresText.Storable(after?.Id), limit]).ListAsync(Read));

    private Task<List<T>> ReadAsync<T>(UsageFilter filter, Func<PostgresSession, Task<List<T>>> query) => database.ReadReplicaAsync(TenantScope.Of(filter.TenantId), query);

    private static object?[] Values(UsageFilter filter) =>
        [filter.TenantId, filter.Range.From, filter.Range.To, PostgresText.Storable(filter.Model), PostgresText.Storable(filter.Agent), PostgresText.Storable(filter.ApiKey)];

    private static UsageItem Read(NpgsqlDataReader row) => new(row.Text(0), row.Time(1), row.TextOrNull(2), row.TextOrNull(3), row.Text(4), row.TextOrNull(5), row.TextOrNull(6), row.Text(7), row.Text(8),
        row.Text(9), row.Int64(10), row.Int64(11), row.Int64(12), row.Int64(13), row.Boolean(14),
        row.Int64OrNull(15) is { } pico ? pico / PicoPerUsd : null, row.Text(16), row.TextOrNull(17), row.Boolean(18), row.Int32(19), row.GetDouble(20), row.DoubleOrNull(21));

    private static double? Round(double? value) => value is { } v ? Math.Round(v, 3) : null;
}
