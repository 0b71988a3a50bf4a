using System.Text.RegularExpressions;

namespace MultiAgent.Architecture.Tests;

/// <summary>Labels of metrics come from a short list, so that no metric grows with users, tenants or requests.</summary>
public sealed partial class MetricLabelTests
{
    // A new name belongs here only when the values are bounded by the program or by a BoundedLabel.
    private static readonly HashSet<string> Allowed =
    [
        "action", "agent", "consumer", "database", "deployment", "gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type", "guardrail", "kind", "method", "model", "outcome",
        "provider", "reason", "route", "service", "stage", "status", "surface", "tenant", "tool", "type",
    ];

    private static readonly KeyValuePair<string, string>[] Files =
        [.. Sources.Files.Where(f => f.Value.Contains("using System.Diagnostics.Metrics;", StringComparison.Ordinal) || f.Value.Contains("CreateObservableGauge", StringComparison.Ordinal) || f.Value.Contains("new SeriesCounter<", StringComparison.Ordinal))];

    [Fact]
    public void Labels_OfAllMetrics_AreOnTheList()
    {
        (string File, string Label)[] labels = [.. Files.SelectMany(f => Label().Matches(f.Value).Select(m => (f.Key, m.Groups[1].Value)))];

        Assert.True(labels.Length > 15, $"Only {labels.Length} labels were found: the scanner is broken.");
        Assert.All(labels, l => Assert.True(Allowed.Contains(l.Label), $"{l.File} uses the label '{l.Label}'."));
    }

    [Fact]
    public void Metrics_OfThePlatform_AreMadeWhereTheScannerLooks() =>
        Assert.All(Sources.Files.Where(f => Instrument().IsMatch(f.Value)), f => Assert.Contains(f.Key, Files.Select(k => k.Key)));

    [Fact]
    public void NamesOfMetrics_AreLowerCaseAndUnique()
    {
        string[] names = [.. Files.SelectMany(f => Instrument().Matches(f.Value).Select(m => m.Groups[1].Value))];

        Assert.True(names.Length > 20, $"Only {names.Length} metrics were found: the scanner is broken.");
        Assert.Equal(names.Distinct().Order(), names.Order());
        Assert.All(names, n => Assert.Matches("^[a-z][a-z0-9_.]*$", n));
    }

    [GeneratedRegex("""(?:KeyValuePair<string, object\?>\(|\bnew\(|\{ )"([a-z_.]+)", """)]
    private static partial Regex Label();

    [GeneratedRegex("""(?:\.Create(?:Counter|Histogram|UpDownCounter|ObservableGauge|ObservableCounter|Gauge)(?:<\w+>)?|new\ SeriesCounter<[^=;]+?>)\("([^"]+)" """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex Instrument();
}
