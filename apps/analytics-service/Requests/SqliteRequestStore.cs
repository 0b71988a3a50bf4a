using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Analytics.Records;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics.Requests;

/// <summary>The log of requests in SQLite.</summary>
internal sealed class SqliteRequestStore([FromKeyedServices(AnalyticsModule.Service)] SqliteDatabase database) : IRequestStore
{
    private const string Table = "requests";

    private static readonly SqliteRecords Records = new(RequestSchema.Columns, Table);
    private static readonly string FindSql = RequestSql.Find(Table, '?');
    private static readonly string ListSql = RequestSql.List(Table, '?', "");

    public Task AddAsync(IReadOnlyList<ReadOnlyMemory<byte>> batches) => Records.AddAsync(database, batches);

    public ValueTask<IReadOnlyList<RequestGroup>> SummarizeAsync(RequestFilter filter, IReadOnlyList<RecordGrouping> groups) => new(database.Read<IReadOnlyList<RequestGroup>>(session =>
    {
        using SqliteStatement rows = session.PrepareOnce(RequestSql.Summarize(Table, '?', groups, [.. groups.Select(g => g.Sqlite)]));
        Bind(rows, filter);
        var result = new List<RequestGroup>();
        int n = groups.Count;
        while (rows.Step())
        {
            result.Add(new RequestGroup
            {
                Group = n == 0 ? null : groups.Select((g, i) => (g.Name, Value: rows.TextOrNull(i))).ToDictionary(g => g.Name, g => g.Value),
                Requests = rows.Int64(n),
                ClientErrors = rows.Int64(n + 1),
                ServerErrors = rows.Int64(n + 2),
                AverageMs = Round(rows.DoubleOrNull(n + 3)),
                P50Ms = rows.DoubleOrNull(n + 4),
                P95Ms = rows.DoubleOrNull(n + 5),
                MaxMs = rows.DoubleOrNull(n + 6),
            });
        }
        return result;
    }));

    public ValueTask<IReadOnlyList<RequestItem>> ListAsync(RequestFilter filter, RecordPosition? after, int limit) => new(database.Read<IReadOnlyList<RequestItem>>(session =>
    {
        SqliteStatement rows = session.Prepare(ListSql);
        Bind(rows, filter);
        rows.Bind(15, after?.At).Bind(16, after?.Id).Bind(17, limit);
        var result = new List<RequestItem>();
        while (rows.Step()) result.Add(Item(rows));
        return result;
    }));

    public ValueTask<RequestItem?> FindAsync(string tenantId, string id) => new(database.Read(session =>
    {
        SqliteStatement rows = session.Prepare(FindSql).Bind(1, tenantId).Bind(2, RequestIds.TimeOf(id)).Bind(3, id);
        return rows.Step() ? Item(rows) : null;
    }));

    private static void Bind(SqliteStatement statement, RequestFilter filter) => statement.Bind(1, filter.TenantId).Bind(2, filter.Range.From).Bind(3, filter.Range.To)
        .Bind(4, filter.Method).Bind(5, filter.Route).Bind(6, filter.ErrorCode).Bind(7, filter.ApiKey).Bind(8, filter.UserId).Bind(9, filter.RequestId).Bind(10, filter.RunId).Bind(11, filter.Model)
        .Bind(12, filter.Status.First).Bind(13, filter.Status.Last).Bind(14, (double?)filter.MinDurationMs);

    private static RequestItem Item(SqliteStatement row) => new(row.Text(0), row.Time(1), row.Text(2), row.TextOrNull(3), row.TextOrNull(4), row.Text(5), row.Text(6), row.TextOrNull(7), (int)row.Int64(8),
        row.TextOrNull(9), row.Double(10), row.Int64OrNull(11), row.TextOrNull(12), row.TextOrNull(13), row.TextOrNull(14), row.TextOrNull(15));

    private static double? Round(double? value) => value is { } v ? Math.Round(v, 3) : null;
}
