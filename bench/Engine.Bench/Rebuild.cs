using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows.Execution;

namespace MultiAgent.Bench.Engine;

/// <summary>How long it takes to read the log of a run of 10,000 events and to build its state from it.</summary>
internal static class Rebuild
{
    public static async Task<(int Events, double ReadMs, double BuildMs)> MeasureAsync(EngineHost host, int rounds)
    {
        RunRecord run = await host.RunAsync("long");
        IRunStore store = host.Services.GetRequiredService<IRunStore>();
        var (reads, builds, count) = (new List<double>(), new List<double>(), 0);
        for (int round = 0; round <= rounds; round++)
        {
            long begun = Stopwatch.GetTimestamp();
            var events = new List<RunEvent>();
            while (await store.EventsAsync(run.TenantId, run.Id, events.Count, 1000) is { Count: > 0 } more) events.AddRange(more);
            double read = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            begun = Stopwatch.GetTimestamp();
            FlowState state = FlowState.Rebuild(events);
            double build = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            if (state.Steps != run.Steps) throw new InvalidOperationException($"{state.Steps} steps were rebuilt, the run had {run.Steps}.");
            // The first round compiles.
            if (round == 0) continue;
            count = events.Count;
            reads.Add(read);
            builds.Add(build);
        }
        return (count, Median(reads), Median(builds));
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
