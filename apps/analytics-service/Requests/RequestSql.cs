using MultiAgent.Analytics.Records;

namespace MultiAgent.Analytics.Requests;

/// <summary>The queries of the log of requests, which both databases understand but for the way that a parameter is written.</summary>
internal static class RequestSql
{
    private const int MaxGroups = 1000;

    private const string Columns = "id, at, request_id, api_key_id, user_id, method, path, route, status, error_code, duration_ms, request_bytes, model, run_id, user_agent, client_address";

    /// <param name="table">Its name.</param>
    /// <param name="p">The sign before a parameter's number.</param>
    public static string Find(string table, char p) => $"SELECT {Columns} FROM {table} WHERE tenant_id = {p}1 AND at = {p}2 AND id = {p}3";

    /// <inheritdoc cref="Find"/>
    /// <param name="table">Its name.</param>
    /// <param name="p">The sign before a parameter's number.</param>
    /// <param name="time">The type of a time, where a null needs one.</param>
    public static string List(string table, char p, string time) =>
        $"SELECT {Columns} FROM {table} WHERE {Where(p)} AND ({p}15{time} IS NULL OR (at, id) < ({p}15, {p}16)) ORDER BY at DESC, id DESC LIMIT {p}17";

    /// <summary>The key of each group, then count, client errors, server errors, average, median, 95th percentile and maximum.</summary>
    /// <param name="table">Its name.</param>
    /// <param name="p">The sign before a parameter's number.</param>
    /// <param name="groups">What to group by.</param>
    /// <param name="keys">The SQL of each.</param>
    public static string Summarize(string table, char p, IReadOnlyList<RecordGrouping> groups, IReadOnlyList<string> keys)
    {
        string named = string.Concat(keys.Select((k, i) => $"{k} AS k{i}, "));
        string names = string.Join(", ", keys.Select((_, i) => $"k{i}"));
        string partition = keys.Count == 0 ? "" : $"PARTITION BY {string.Join(", ", keys)} ";
        string order = string.Join(", ", groups.Select((g, i) => g.IsTime ? $"k{i}" : "").Where(k => k.Length > 0).Append("count(*) DESC").Concat(keys.Select((_, i) => $"k{i}").Where((_, i) => !groups[i].IsTime)));
        return $"""
            SELECT {(keys.Count == 0 ? "" : names + ", ")}count(*), count(CASE WHEN status BETWEEN 400 AND 499 THEN 1 END), count(CASE WHEN status >= 500 THEN 1 END), avg(duration_ms),
                min(CASE WHEN place * 2 >= total THEN duration_ms END), min(CASE WHEN place * 100 >= total * 95 THEN duration_ms END), max(duration_ms)
            FROM (SELECT {named}status, duration_ms, row_number() OVER ({partition}ORDER BY duration_ms) AS place, count(*) OVER ({partition.TrimEnd()}) AS total FROM {table} WHERE {Where(p)}) AS requests
            {(keys.Count == 0 ? "" : $"GROUP BY {names} ORDER BY {order} LIMIT {MaxGroups}")}
            """;
    }

    private static string Where(char p)
    {
        (string Column, int Parameter)[] texts = [("method", 4), ("route", 5), ("error_code", 6), ("api_key_id", 7), ("user_id", 8), ("request_id", 9), ("run_id", 10), ("model", 11)];
        string cast = p == '$' ? "::text" : "";
        return $"tenant_id = {p}1 AND at >= {p}2 AND at < {p}3 AND {string.Join(" AND ", texts.Select(t => $"({p}{t.Parameter}{cast} IS NULL OR {t.Column} = {p}{t.Parameter})"))}"
            + $" AND status BETWEEN {p}12 AND {p}13 AND duration_ms >= {p}14";
    }
}
