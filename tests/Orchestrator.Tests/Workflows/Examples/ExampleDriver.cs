using System.Collections.Concurrent;
using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>A wait that nobody has resolved.</summary>
internal sealed record OpenWait(string Id, string RunId, string Path, bool IsHuman)
{
    /// <summary>Id of the step that waits.</summary>
    public string Step => Path[(Path.LastIndexOf('/') + 1)..];
}

/// <summary>
/// The world around runs of the examples: people who answer, systems that send events, users who cancel. It acts once on each wait that it sees: what it was
/// told to have been taken is not said again.
/// </summary>
internal sealed class ExampleDriver(HttpClient client, Func<Task<IReadOnlyList<OpenWait>>> openWaits)
{
    private readonly ConcurrentDictionary<string, byte> _done = new(StringComparer.Ordinal);

    /// <summary>Runs and what they are.</summary>
    public ConcurrentDictionary<string, Scenario> Runs { get; } = new(StringComparer.Ordinal);

    /// <summary>Acts on what waits now.</summary>
    public async Task ActAsync()
    {
        OpenWait[] open = [.. (await openWaits()).Where(w => Runs.ContainsKey(w.RunId) && !_done.ContainsKey(w.Id))];
        await Parallel.ForEachAsync(open, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (wait, _) =>
        {
            if (await ActAsync(wait, Runs[wait.RunId])) _done[wait.Id] = 0;
        });
    }

    /// <summary>Acts until a run has ended.</summary>
    public async Task<JsonElement> UntilEndAsync(string id)
    {
        JsonElement run = default;
        await Waiting.UntilAsync(async () =>
        {
            await ActAsync();
            run = (await client.GetJsonAsync($"/api/v1/runs/{id}")).Body;
            return run.Text("status") is "completed" or "failed" or "cancelled";
        }, $"the end of {id}");
        return run;
    }

    private async Task<bool> ActAsync(OpenWait wait, Scenario scenario)
    {
        if (scenario.CancelAt == wait.Step) return (await client.PostJsonAsync($"/api/v1/runs/{wait.RunId}/cancel", new { })).Status is 202;
        if (wait.IsHuman) return (await client.PostJsonAsync($"/api/v1/approvals/{wait.Id}", scenario.People[wait.Step])).Status is 200 or 409;
        (string name, object? data) = scenario.Events[wait.Step];
        return (await client.PostJsonAsync("/api/v1/events", new { name, key = wait.RunId, data })).Status is 200;
    }
}
