using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>What came of a run, without what differs from run to run: two runs of a scenario have the same.</summary>
internal sealed record End(string Status, string? Error, string? Output, string Usage, string Effects)
{
    /// <summary>Reads it, and holds the log to its rules: no gaps, one end and that the last.</summary>
    public static async Task<End> OfAsync(HttpClient client, Shop shop, JsonElement run)
    {
        string id = run.Text("id");
        JsonElement[] log = await ExampleWorld.LogAsync(client, id);
        Assert.Equal(Enumerable.Range(1, log.Length).Select(i => (long)i), log.Select(e => e.GetProperty("seq").GetInt64()));
        Assert.Equal(log.Length - 1, Array.FindIndex(log, e => e.Text("type") is "run.completed" or "run.failed" or "run.cancelled"));
        return new End(run.Text("status"), run.TryGetProperty("error", out JsonElement error) ? error.Text("code") : null,
            run.TryGetProperty("output", out JsonElement output) ? output.GetRawText().Replace(id, "{run}") : null,
            // Which of two branches is first, and whether the other had begun, is chance.
            run.Text("workflow") == "fan-out" ? "" : run.GetProperty("usage").GetRawText(),
            string.Join('\n', shop.Of(id).Select(e => $"{e.Key} {e.What}").Order(StringComparer.Ordinal)));
    }
}
