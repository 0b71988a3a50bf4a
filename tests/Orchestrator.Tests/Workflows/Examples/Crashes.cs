using System.Collections.Concurrent;
using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Worker;

namespace MultiAgent.Orchestrator.Tests.Workflows.Examples;

/// <summary>A run of a scenario whose process dies at one of its writes.</summary>
internal sealed record Crash(Scenario Scenario, string Key, End Expected);

/// <summary>Runs of all scenarios that are brought to their moments in one process, and to their ends in the next.</summary>
internal sealed class Crashes(Shop shop)
{
    // Hundreds of runs, on a machine that does other things too; in the suite of faults ten times as many.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(ExampleKillTests.All ? 20 : 4);

    private readonly List<Crash> _planned = [];

    public IReadOnlyList<Crash> Planned => _planned;

    /// <summary>Runs a scenario without a crash, and plans one for the writes that <paramref name="at"/> chooses.</summary>
    /// <param name="client">Of the tenant.</param>
    /// <param name="driver">Acts for the world around.</param>
    /// <param name="scenario">What is run.</param>
    /// <param name="writes">How often a run, and those of its agents, were written.</param>
    /// <param name="at">Whether the process dies at a write, right after it (<see cref="Fuse.AtOnce"/>) or before the next (<see cref="Fuse.BeforeNext"/>).</param>
    public async Task PlanAsync(HttpClient client, ExampleDriver driver, Scenario scenario, Func<string, Task<int>> writes, Func<int, string, bool> at)
    {
        (int status, JsonElement accepted, _) = await client.PostJsonAsync("/api/v1/runs", scenario.Body(shop.Url));
        Assert.True(status == 202, $"{scenario}: {status} {accepted}");
        string id = accepted.Text("id");
        driver.Runs[id] = scenario;
        End expected = await End.OfAsync(client, shop, await driver.UntilEndAsync(id));
        Assert.True(scenario.Status == expected.Status, $"{scenario}: {expected}");
        int count = await writes(id);
        for (int write = 1; write < count; write++)
            foreach (string how in (string[])[Fuse.AtOnce, Fuse.BeforeNext])
                if (at(write, how)) _planned.Add(new Crash(scenario, Fuse.Key(write, how, scenario.ToString()), expected));
    }

    /// <summary>Starts all and waits until each stands at its moment, or has ended: strands that write at the same time share a write, and a few runs have fewer than was planned for.</summary>
    public async Task BreakAsync(HttpClient client, ExampleDriver driver, Func<Task<IReadOnlyCollection<string>>> blown, Func<Task<IReadOnlySet<string>>> unfinished)
    {
        var ids = new ConcurrentDictionary<string, string>(StringComparer.Ordinal);
        IReadOnlyCollection<string> there = [];
        bool over = false;
        foreach (Crash crash in _planned) _ = StartAsync(crash);
        try
        {
            await Waiting.UntilAsync(AllThereAsync, () => $"{_planned.Count} runs at their moments; not yet: {string.Join(", ", _planned.Select(c => c.Key).Except(there).Take(5))}", Patience);
        }
        finally
        {
            over = true;
        }

        async Task<bool> AllThereAsync()
        {
            await driver.ActAsync();
            there = await blown();
            if (there.Count < _planned.Count * 9 / 10) return false;
            IReadOnlySet<string> open = await unfinished();
            return _planned.All(c => there.Contains(c.Key) || (ids.TryGetValue(c.Key, out string? id) && !open.Contains(id)));
        }

        // Hundreds at once may be more than are taken in, or answered in time. One that stands at its first write gets no answer at all.
        async Task StartAsync(Crash crash)
        {
            while (!over)
            {
                try
                {
                    JsonElement run = (await client.PostJsonAsync("/api/v1/runs", crash.Scenario.Body(shop.Url), ("Idempotency-Key", crash.Key))).Body;
                    driver.Runs[ids[crash.Key] = run.Text("id")] = crash.Scenario;
                    return;
                }
                catch (Exception e) when (e is HttpRequestException or OperationCanceledException or KeyNotFoundException or JsonException)
                {
                    await Task.Delay(500);
                }
            }
        }
    }

    /// <summary>Asks for all again, as their clients would, and holds each to the end that it has without a crash.</summary>
    public async Task EndAsync(HttpClient client, ExampleDriver driver, Func<Task<IReadOnlySet<string>>> unfinished)
    {
        var ids = new ConcurrentDictionary<Crash, string>();
        await Parallel.ForEachAsync(_planned, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (crash, cancellation) =>
        {
            (int status, JsonElement run, _) = await client.PostJsonAsync("/api/v1/runs", crash.Scenario.Body(shop.Url), ("Idempotency-Key", crash.Key));
            Assert.True(status is 200 or 202, $"{crash.Key}: {status} {run}");
            driver.Runs[ids[crash] = run.Text("id")] = crash.Scenario;
        });
        List<KeyValuePair<Crash, string>> left = [.. ids];
        await Waiting.UntilAsync(async () =>
        {
            await driver.ActAsync();
            IReadOnlySet<string> open = await unfinished();
            KeyValuePair<Crash, string>[] ended = [.. left.Where(l => !open.Contains(l.Value))];
            left.RemoveAll(l => !open.Contains(l.Value));
            await Parallel.ForEachAsync(ended, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (one, cancellation) =>
            {
                End end = await End.OfAsync(client, shop, (await client.GetJsonAsync($"/api/v1/runs/{one.Value}")).Body);
                Assert.True(one.Key.Expected == end, $"{one.Key.Key}\nexpected {one.Key.Expected}\nactual   {end}");
            });
            return left.Count == 0;
        }, () => $"the end of {string.Join(", ", left.Take(5).Select(l => $"{l.Key.Key} ({l.Value})"))}", Patience);
        Assert.Empty(await unfinished());
        Assert.Empty(shop.WithoutKey);
    }
}
