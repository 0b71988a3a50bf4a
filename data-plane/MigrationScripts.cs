using System.Text.RegularExpressions;

namespace MultiAgent.DataPlane;

/// <summary>One step of a service's schema.</summary>
/// <param name="Number">Position in the sequence, from 1.</param>
/// <param name="Name">What it does, e.g. <c>0001_initial</c>.</param>
/// <param name="Up">SQL that applies it.</param>
/// <param name="Down">SQL that takes it back.</param>
public sealed record Migration(int Number, string Name, string Up, string Down);

/// <summary>
/// The migrations in this folder, embedded as <c>&lt;dialect&gt;/&lt;service&gt;/&lt;number&gt;_&lt;name&gt;.&lt;up|down&gt;.sql</c>, side by side for SQLite and PostgreSQL.
/// </summary>
public static partial class MigrationScripts
{
    /// <summary>What PostgreSQL's schemas share; migrated before the services, under the name of a service.</summary>
    public const string SharedSchema = "maap";

    /// <summary>The migrations of one service for SQLite, in order.</summary>
    /// <exception cref="InvalidOperationException">A number is missing or double, or a step lacks its way back.</exception>
    public static IReadOnlyList<Migration> Sqlite(string service) => Read("sqlite", service);

    /// <summary>The migrations of one service for PostgreSQL, in order.</summary>
    /// <exception cref="InvalidOperationException">A number is missing or double, or a step lacks its way back.</exception>
    public static IReadOnlyList<Migration> Postgres(string service) => Read("postgres", service);

    /// <summary>What the app's role may do in a service's schema on PostgreSQL, as it is after the last migration.</summary>
    public static string PostgresGrants(string service) => Text($"postgres/{service}/grants.sql");

    /// <summary>Names of the services that have migrations for SQLite.</summary>
    public static IReadOnlyList<string> SqliteServices() => Services("sqlite");

    /// <summary>Names of the services that have migrations for PostgreSQL, <see cref="SharedSchema"/> first.</summary>
    public static IReadOnlyList<string> PostgresServices() => [SharedSchema, .. Services("postgres").Where(s => s != SharedSchema)];

    private static List<Migration> Read(string dialect, string service)
    {
        var ups = new SortedDictionary<int, (string Name, string Sql)>();
        var downs = new Dictionary<string, string>();
        foreach (string resource in typeof(MigrationScripts).Assembly.GetManifestResourceNames())
        {
            Match match = ScriptName().Match(resource);
            if (!match.Success || match.Groups["dialect"].Value != dialect || match.Groups["service"].Value != service) continue;
            string sql = Text(resource), name = match.Groups["name"].Value;
            if (match.Groups["way"].Value == "down") downs[name] = sql;
            else if (!ups.TryAdd(int.Parse(match.Groups["number"].ValueSpan), (name, sql)))
                throw new InvalidOperationException($"Service '{service}' has two {dialect} migrations with the number {match.Groups["number"].Value}.");
        }
        var result = new List<Migration>();
        foreach ((int number, (string name, string sql)) in ups)
        {
            if (number != result.Count + 1) throw new InvalidOperationException($"Service '{service}' lacks {dialect} migration number {result.Count + 1}.");
            if (!downs.TryGetValue(name, out string? down)) throw new InvalidOperationException($"Migration '{dialect}/{service}/{name}' lacks its .down.sql.");
            result.Add(new Migration(number, name, sql, down));
        }
        return result;
    }

    private static string Text(string resource)
    {
        using Stream stream = typeof(MigrationScripts).Assembly.GetManifestResourceStream(resource) ?? throw new InvalidOperationException($"'{resource}' is missing.");
        using var reader = new StreamReader(stream);
        // A checkout on Windows must not change a checksum.
        return reader.ReadToEnd().Replace("\r\n", "\n", StringComparison.Ordinal);
    }

    private static string[] Services(string dialect) =>
        [.. typeof(MigrationScripts).Assembly.GetManifestResourceNames()
            .Select(r => ScriptName().Match(r)).Where(m => m.Success && m.Groups["dialect"].Value == dialect)
            .Select(m => m.Groups["service"].Value).Distinct().Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^(?<dialect>sqlite|postgres)/(?<service>[a-z-]+)/(?<name>(?<number>\d{4})_[a-z0-9_]+)\.(?<way>up|down)\.sql$")]
    private static partial Regex ScriptName();
}
