using System.Globalization;
using System.Text;

namespace MultiAgent.Faults.Tests;

/// <summary>The table of <c>docs/reliability.md</c>, as this run made it: <c>artifacts/reliability.md</c>.</summary>
internal static class Table
{
    private static readonly List<string> Lines = [];

    public static void Add(string fault, Load load, IReadOnlyDictionary<string, Found> found, TimeSpan recovery)
    {
        Tally[] tallies = [.. load.All.Select(t => t.Tally)];
        string errors = string.Join(", ", tallies.SelectMany(t => t.Errors).GroupBy(e => e.Key).OrderBy(g => g.Key)
            .Select(g => $"{g.Sum(e => e.Value)} × {(g.Key == 0 ? "connection lost" : g.Key.ToString(CultureInfo.InvariantCulture))}"));
        string line = string.Create(CultureInfo.InvariantCulture,
            $"| {fault} | {tallies.Sum(t => t.Sent)} | {tallies.Sum(t => t.Acknowledged.Count)} | {found.Values.Sum(f => f.There)} | {found.Values.Sum(f => f.Lost.Count)} | {found.Values.Sum(f => f.Twice)} | {(errors.Length == 0 ? "none" : errors)} | {recovery.TotalSeconds:0.0} s |");
        lock (Lines)
        {
            Lines.Add(line);
            Write();
        }
    }

    private static void Write()
    {
        var text = new StringBuilder("| fault | sent | acknowledged | found | lost | twice | errors meanwhile | served again after |\n|---|---:|---:|---:|---:|---:|---|---:|\n");
        foreach (string line in Lines.Order(StringComparer.Ordinal)) text.Append(line).Append('\n');
        Directory.CreateDirectory(Repository.At("artifacts"));
        File.WriteAllText(Repository.At("artifacts/reliability.md"), text.ToString());
    }
}
