using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows.Execution;
using MultiAgent.Orchestrator.Workflows.Snapshots;

namespace MultiAgent.Bench.Engine;

/// <summary>What is measured of a run of 10,000 events that rests.</summary>
/// <param name="Events">In its log.</param>
/// <param name="ReadMs">To read the log.</param>
/// <param name="BuildMs">To build the state from it.</param>
/// <param name="SnapshotMs">To do both from the newest snapshot, and the events since.</param>
/// <param name="Since">Events since.</param>
internal readonly record struct Rebuilt(long Events, double ReadMs, double BuildMs, double SnapshotMs, long Since);

/// <summary>How long it takes to read the log of a run of 10,000 events and to build its state from it, with and without a snapshot.</summary>
internal static class Rebuild
{
    public static async Task<Rebuilt> MeasureAsync(EngineHost host, int rounds)
    {
        IRunStore store = host.Services.GetRequiredService<IRunStore>();
        FlowSnapshots snapshots = host.Services.GetRequiredService<FlowSnapshots>();
        string id = (await host.StartAsync("long")).Run.Id;
        while ((await store.FindAsync(EngineHost.Tenant, id))!.Status != RunStatus.Waiting) await Task.Delay(100);
        // After the one that may be in the making.
        await snapshots.MakeAsync(EngineHost.Tenant, id);
        var (reads, builds, resumes) = (new List<double>(), new List<double>(), new List<double>());
        StoredFlow stored = null!;
        for (int round = 0; round <= rounds; round++)
        {
            long begun = Stopwatch.GetTimestamp();
            var events = new List<RunEvent>();
            while (await store.EventsAsync(EngineHost.Tenant, id, events.Count, 1000) is { Count: > 0 } more) events.AddRange(more);
            double read = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            begun = Stopwatch.GetTimestamp();
            FlowState state = FlowState.Rebuild(events);
            double build = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            begun = Stopwatch.GetTimestamp();
            stored = (await snapshots.ReadAsync(EngineHost.Tenant, id))!;
            double resume = Stopwatch.GetElapsedTime(begun).TotalMilliseconds;
            if (stored.SnapshotSeq == 0 || stored.Seq != events.Count || stored.State.Steps != state.Steps) throw new InvalidOperationException($"{stored.Seq} events from a snapshot of {stored.SnapshotSeq}, {events.Count} in the log.");
            // The first round compiles.
            if (round == 0) continue;
            reads.Add(read);
            builds.Add(build);
            resumes.Add(resume);
        }
        return new Rebuilt(stored.Seq, Median(reads), Median(builds), Median(resumes), stored.Seq - stored.SnapshotSeq);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length % 2 == 1 ? sorted[sorted.Length / 2] : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
