using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Analytics.Usage;

/// <summary>A way to group usage: its name in the API and the SQL that makes its value. The SQL comes from this table only.</summary>
internal sealed record UsageGrouping(string Name, string Sqlite, string Postgres)
{
    private static readonly UsageGrouping[] All =
    [
        new("model", "model", "model"),
        new("provider", "provider", "provider"),
        new("agent", "agent", "agent"),
        new("apiKey", "api_key_id", "api_key_id"),
        new("user", "user_id", "user_id"),
        new("operation", "operation", "operation"),
        new("status", "status", "status"),
        new("day", "strftime('%Y-%m-%d', at / 1000, 'unixepoch')", "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')"),
        new("hour", "strftime('%Y-%m-%dT%H:00:00Z', at / 1000, 'unixepoch')", "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:00:00\"Z\"')"),
    ];

    /// <exception cref="ApiException">400: a name is unknown or there are more than three.</exception>
    public static IReadOnlyList<UsageGrouping> Parse(string? names)
    {
        if (string.IsNullOrWhiteSpace(names)) return [];
        string[] parts = names.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length > 3) throw new ApiException(400, ErrorCodes.ValidationFailed, "'groupBy' takes at most three names.", "groupBy");
        return [.. parts.Distinct().Select(p => Array.Find(All, g => g.Name == p)
            ?? throw new ApiException(400, ErrorCodes.ValidationFailed, $"'groupBy' does not know '{p}'; use {string.Join(", ", All.Select(g => g.Name))}.", "groupBy"))];
    }
}
