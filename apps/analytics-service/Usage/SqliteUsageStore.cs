using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics.Records;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics.Usage;

/// <summary>Usage records in SQLite.</summary>
internal sealed class SqliteUsageStore([FromKeyedServices(AnalyticsModule.Service)] SqliteDatabase database) : IUsageStore
{
    private const decimal PicoPerUsd = 1_000_000_000_000m;
    private const int MaxGroups = 1000;
    private const string Where = "tenant_id = ?1 AND at >= ?2 AND at < ?3 AND (?4 IS NULL OR model = ?4) AND (?5 IS NULL OR agent = ?5) AND (?6 IS NULL OR api_key_id = ?6)";

    private static readonly SqliteRecords Records = new(UsageSchema.Columns, "usage");

    public Task AddAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches) => Records.AddAsync(database, batches);

    public ValueTask<IReadOnlyList<UsageGroup>> SummarizeAsync(UsageFilter filter, IReadOnlyList<RecordGrouping> groups) => new(database.Read<IReadOnlyList<UsageGroup>>(session =>
    {
        string keys = string.Concat(groups.Select(g => g.Sqlite + ", "));
        // The cost is summed in two halves: a sum of 64-bit pico dollars overflows at nine million dollars.
        using SqliteStatement rows = session.PrepareOnce($"""
            SELECT {keys}count(*), sum(status <> 'ok'), sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(reasoning_tokens),
                sum(cost_pico_usd / 1000000), sum(cost_pico_usd % 1000000), sum(cost_pico_usd IS NULL), sum(estimated), avg(latency_ms), avg(first_token_ms)
            FROM usage WHERE {Where}
            {(groups.Count == 0 ? "" : $"GROUP BY {string.Join(", ", groups.Select(g => g.Sqlite))} ORDER BY {string.Join(", ", groups.Where(g => g.IsTime).Select(g => g.Sqlite).Append("sum(cost_pico_usd / 1000000) DESC, count(*) DESC"))} LIMIT {MaxGroups}")}
            """);
        BindFilter(rows, filter);
        var result = new List<UsageGroup>();
        int n = groups.Count;
        while (rows.Step())
        {
            result.Add(new UsageGroup
            {
                Group = n == 0 ? null : groups.Select((g, i) => (g.Name, Value: rows.TextOrNull(i))).ToDictionary(g => g.Name, g => g.Value),
                Requests = rows.Int64(n),
                Errors = rows.Int64(n + 1),
                InputTokens = rows.Int64(n + 2),
                CachedInputTokens = rows.Int64(n + 3),
                OutputTokens = rows.Int64(n + 4),
                ReasoningTokens = rows.Int64(n + 5),
                CostUsd = (rows.Int64(n + 6) * 1_000_000m + rows.Int64(n + 7)) / PicoPerUsd,
                RequestsOfUnknownCost = rows.Int64(n + 8),
                EstimatedRequests = rows.Int64(n + 9),
                AverageLatencyMs = Round(rows.DoubleOrNull(n + 10)),
                AverageFirstTokenMs = Round(rows.DoubleOrNull(n + 11)),
            });
        }
        return result;
    }));

    public ValueTask<IReadOnlyList<UsageItem>> ListAsync(UsageFilter filter, RecordPosition? after, int limit) => new(database.Read<IReadOnlyList<UsageItem>>(session =>
    {
        SqliteStatement rows = session.Prepare($"""
            SELECT id, at, api_key_id, user_id, request_id, run_id, agent, operation, requested_model, model, input_tokens, cached_input_tokens, output_tokens,
                reasoning_tokens, estimated, cost_pico_usd, status, error_code, stream, attempt, latency_ms, first_token_ms
            FROM usage WHERE {Where} AND (?7 IS NULL OR (at, id) < (?7, ?8)) ORDER BY at DESC, id DESC LIMIT ?9
            """);
        BindFilter(rows, filter);
        rows.Bind(7, after?.At).Bind(8, after?.Id).Bind(9, limit);
        var result = new List<UsageItem>();
        while (rows.Step())
        {
            result.Add(new UsageItem(rows.Text(0), rows.Time(1), rows.TextOrNull(2), rows.TextOrNull(3), rows.Text(4), rows.TextOrNull(5), rows.TextOrNull(6), rows.Text(7), rows.Text(8),
                rows.Text(9), rows.Int64(10), rows.Int64(11), rows.Int64(12), rows.Int64(13), rows.Int64(14) != 0,
                rows.Int64OrNull(15) is { } pico ? pico / PicoPerUsd : null, rows.Text(16), rows.TextOrNull(17), rows.Int64(18) != 0, (int)rows.Int64(19), rows.Double(20), rows.DoubleOrNull(21)));
        }
        return result;
    }));

    private static void BindFilter(SqliteStatement statement, UsageFilter filter) => statement.Bind(1, filter.TenantId).Bind(2, filter.Range.From).Bind(3, filter.Range.To)
        .Bind(4, filter.Model).Bind(5, filter.Agent).Bind(6, filter.ApiKey);

    private static double? Round(double? value) => value is { } v ? Math.Round(v, 3) : null;
}
