using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Analytics.Records;

/// <summary>A way to group records: its name in the API and the SQL that makes its value. The SQL comes from tables of the program only.</summary>
internal sealed record RecordGrouping(string Name, string Sqlite, string Postgres)
{
    public static RecordGrouping Day { get; } = new("day", "strftime('%Y-%m-%d', at / 1000, 'unixepoch')", "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD')");

    public static RecordGrouping Hour { get; } =
        new("hour", "strftime('%Y-%m-%dT%H:00:00Z', at / 1000, 'unixepoch')", "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:00:00\"Z\"')");

    /// <summary>Groups by a column of text as it is.</summary>
    public static RecordGrouping By(string name, string column) => new(name, column, column);

    /// <summary>True where groups are told in the order of time.</summary>
    public bool IsTime => this == Day || this == Hour;

    /// <param name="names">Query parameter <c>groupBy</c>.</param>
    /// <param name="known">The ways that there are.</param>
    /// <exception cref="ApiException">400: a name is unknown or there are more than three.</exception>
    public static IReadOnlyList<RecordGrouping> Parse(string? names, RecordGrouping[] known)
    {
        if (string.IsNullOrWhiteSpace(names)) return [];
        string[] parts = names.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length > 3) throw new ApiException(400, ErrorCodes.ValidationFailed, "'groupBy' takes at most three names.", "groupBy");
        return [.. parts.Distinct().Select(p => Array.Find(known, g => g.Name == p)
            ?? throw new ApiException(400, ErrorCodes.ValidationFailed, $"'groupBy' does not know '{p}'; use {string.Join(", ", known.Select(g => g.Name))}.", "groupBy"))];
    }
}
