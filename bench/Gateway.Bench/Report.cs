using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MultiAgent.Bench.Gateway;

/// <summary>The results as Markdown for people and as JSON for programs.</summary>
internal sealed class Report(BenchOptions options, DateTimeOffset date)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.SnakeCaseLower) },
    };

    private readonly List<ScenarioResult> _results = [];

    public bool HasFailures => _results.Any(r => r.Measurements.Any(m => m.Problem is not null and not "missing"));

    public void Add(IEnumerable<ScenarioResult> results) => _results.AddRange(results);

    public string ToMarkdown()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"# Gateway benchmark, {date:yyyy-MM-dd HH:mm} UTC").AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture,
            $"{Cpu()}, {Environment.ProcessorCount} cores for load, provider and gateway together; {RuntimeInformation.FrameworkDescription}; medians of {options.Rounds} rounds of {options.Seconds} s, taken in turn.");
        foreach (var result in _results)
        {
            text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"## {result.Title}").AppendLine();
            text.Append(Tables.Render(result));
            var rounds = result.Measurements.SelectMany(m => m.Rounds).ToArray();
            if (result.Layout != Layout.Memory && rounds.Length > 0)
                text.AppendLine().AppendLine(CultureInfo.InvariantCulture,
                    $"Other processes of the machine kept {rounds.Average(r => r.OtherCores):N2} cores busy, {rounds.Max(r => r.OtherCores):N2} in the worst round.");
        }
        return text.ToString();
    }

    public void Save(string folder)
    {
        Directory.CreateDirectory(folder);
        var name = Path.Combine(folder, date.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture));
        File.WriteAllText($"{name}.md", ToMarkdown());
        File.WriteAllText($"{name}.json", JsonSerializer.Serialize(
            new { Date = date, Cpu = Cpu(), Cores = Environment.ProcessorCount, options.Seconds, options.Rounds, options.Connections, Results = _results },
            Json));
        Progress.Write($"Written to {name}.md and .json");
    }

    private static string Cpu() =>
        File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim()
        ?? RuntimeInformation.ProcessArchitecture.ToString();
}
