using System.Text.RegularExpressions;

namespace MultiAgent.DataPlane;

/// <summary>One step of a service's schema.</summary>
/// <param name="Number">Position in the sequence, from 1.</param>
/// <param name="Name">What it does, e.g. <c>0001_initial</c>.</param>
/// <param name="Up">SQL that applies it.</param>
/// <param name="Down">SQL that takes it back.</param>
public sealed record Migration(int Number, string Name, string Up, string Down);

/// <summary>The migrations in this folder, embedded as <c>&lt;service&gt;/&lt;number&gt;_&lt;name&gt;.&lt;up|down&gt;.sql</c>.</summary>
public static partial class MigrationScripts
{
    /// <summary>The migrations of one service for SQLite, in order.</summary>
    /// <exception cref="InvalidOperationException">A number is missing or double, or a step lacks its way back.</exception>
    public static IReadOnlyList<Migration> Sqlite(string service)
    {
        var ups = new SortedDictionary<int, (string Name, string Sql)>();
        var downs = new Dictionary<string, string>();
        foreach (string resource in typeof(MigrationScripts).Assembly.GetManifestResourceNames())
        {
            Match match = ScriptName().Match(resource);
            if (!match.Success || match.Groups["service"].Value != service) continue;
            using var reader = new StreamReader(typeof(MigrationScripts).Assembly.GetManifestResourceStream(resource)!);
            string sql = reader.ReadToEnd(), name = match.Groups["name"].Value;
            if (match.Groups["way"].Value == "down") downs[name] = sql;
            else if (!ups.TryAdd(int.Parse(match.Groups["number"].ValueSpan), (name, sql)))
                throw new InvalidOperationException($"Service '{service}' has two migrations with the number {match.Groups["number"].Value}.");
        }
        var result = new List<Migration>();
        foreach ((int number, (string name, string sql)) in ups)
        {
            if (number != result.Count + 1) throw new InvalidOperationException($"Service '{service}' lacks migration number {result.Count + 1}.");
            if (!downs.TryGetValue(name, out string? down)) throw new InvalidOperationException($"Migration '{service}/{name}' lacks its .down.sql.");
            result.Add(new Migration(number, name, sql, down));
        }
        return result;
    }

    /// <summary>Names of the services that have migrations.</summary>
    public static IReadOnlyList<string> Services() =>
        [.. typeof(MigrationScripts).Assembly.GetManifestResourceNames()
            .Select(r => ScriptName().Match(r)).Where(m => m.Success)
            .Select(m => m.Groups["service"].Value).Distinct().Order(StringComparer.Ordinal)];

    [GeneratedRegex(@"^(?<service>[a-z-]+)/(?<name>(?<number>\d{4})_[a-z0-9_]+)\.(?<way>up|down)\.sql$")]
    private static partial Regex ScriptName();
}
