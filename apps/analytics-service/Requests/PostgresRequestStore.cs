using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics.Records;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Analytics.Requests;

/// <summary>The log of requests in PostgreSQL. They come by COPY; reads go to the replica where there is one.</summary>
internal sealed class PostgresRequestStore([FromKeyedServices(AnalyticsModule.Service)] PostgresDatabase database) : IRequestStore
{
    private const string Table = "analytics_service.requests";

    private static readonly PostgresRecords Records = new(RequestSchema.Columns, Table, "the log of requests");
    private static readonly string FindSql = RequestSql.Find(Table, '$');
    private static readonly string ListSql = RequestSql.List(Table, '$', "::timestamptz");

    public Task AddAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches) => Records.AddAsync(database, batches);

    public async ValueTask<IReadOnlyList<RequestGroup>> SummarizeAsync(RequestFilter filter, IReadOnlyList<RecordGrouping> groups)
    {
        int n = groups.Count;
        string sql = RequestSql.Summarize(Table, '$', groups, [.. groups.Select(g => g.Postgres)]);
        return await ReadAsync(filter.TenantId, session => session.Sql(sql, Values(filter)).ListAsync(row => new RequestGroup
        {
            Group = n == 0 ? null : groups.Select((g, i) => (g.Name, Value: row.TextOrNull(i))).ToDictionary(g => g.Name, g => g.Value),
            Requests = row.Int64(n),
            ClientErrors = row.Int64(n + 1),
            ServerErrors = row.Int64(n + 2),
            AverageMs = row.DoubleOrNull(n + 3) is { } average ? Math.Round(average, 3) : null,
            P50Ms = row.DoubleOrNull(n + 4),
            P95Ms = row.DoubleOrNull(n + 5),
            MaxMs = row.DoubleOrNull(n + 6),
        }));
    }

    public async ValueTask<IReadOnlyList<RequestItem>> ListAsync(RequestFilter filter, RecordPosition? after, int limit) => await ReadAsync(filter.TenantId, session => session
        .Sql(ListSql, [.. Values(filter), after is { } position ? DateTimeOffset.FromUnixTimeMilliseconds(position.At) : null, PostgresText.Storable(after?.Id), limit]).ListAsync(Item));

    public async ValueTask<RequestItem?> FindAsync(string tenantId, string id) =>
        (await ReadAsync(tenantId, session => session.Sql(FindSql, tenantId, RequestIds.TimeOf(id), id).ListAsync(Item))).FirstOrDefault();

    private Task<List<T>> ReadAsync<T>(string tenantId, Func<PostgresSession, Task<List<T>>> query) => database.ReadReplicaAsync(TenantScope.Of(tenantId), query);

    private static object?[] Values(RequestFilter filter) =>
    [
        filter.TenantId, filter.Range.From, filter.Range.To, .. ((string?[])[filter.Method, filter.Route, filter.ErrorCode, filter.ApiKey, filter.UserId, filter.RequestId, filter.RunId, filter.Model]).Select(PostgresText.Storable),
        filter.Status.First, filter.Status.Last, filter.MinDurationMs,
    ];

    private static RequestItem Item(NpgsqlDataReader row) => new(row.Text(0), row.Time(1), row.Text(2), row.TextOrNull(3), row.TextOrNull(4), row.Text(5), row.Text(6), row.TextOrNull(7), row.Int32(8),
        row.TextOrNull(9), row.GetDouble(10), row.Int64OrNull(11), row.TextOrNull(12), row.TextOrNull(13), row.TextOrNull(14), row.TextOrNull(15));
}
