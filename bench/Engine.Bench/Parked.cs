using System.Diagnostics;
using System.Runtime;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Waits;

namespace MultiAgent.Bench.Engine;

/// <summary>What runs cost that wait for something.</summary>
/// <param name="Threads">More than before.</param>
/// <param name="HeapMb">Managed memory in use, more than before.</param>
/// <param name="ResidentMb">Memory of the process, more than before.</param>
/// <param name="WakeSeconds">From the event that all wait for until the last has ended.</param>
internal sealed record ParkedResult(int Runs, int Threads, double HeapMb, double ResidentMb, double WakeSeconds);

internal static class Parked
{
    public static async Task<ParkedResult> MeasureAsync(EngineHost host, int runs)
    {
        // Once before, so that what the first time costs is not taken for what the runs cost.
        await ParkAsync(host, runs / 10);
        await WakeAsync(host);
        (int threads, double heap, double resident) before = await UsedAsync();
        await ParkAsync(host, runs);
        (int threads, double heap, double resident) parked = await UsedAsync();
        long begun = Stopwatch.GetTimestamp();
        int woken = await WakeAsync(host);
        if (woken != runs) throw new InvalidOperationException($"{woken} of {runs} runs were woken.");
        return new ParkedResult(runs, parked.threads - before.threads, parked.heap - before.heap, parked.resident - before.resident, Stopwatch.GetElapsedTime(begun).TotalSeconds);
    }

    private static async Task ParkAsync(EngineHost host, int runs)
    {
        await Parallel.ForEachAsync(Enumerable.Range(0, runs), new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (_, _) => await host.StartAsync("parked"));
        while (host.Engine.Active.Count > 0) await Task.Delay(20);
    }

    private static async Task<int> WakeAsync(EngineHost host)
    {
        IRunWaits waits = host.Services.GetRequiredService<IRunWaits>();
        IRunStore store = host.Services.GetRequiredService<IRunStore>();
        int woken = (await waits.RaiseAsync(EngineHost.Tenant, "go", null, new WaitResolution("event", null, null, null, DateTimeOffset.UtcNow))).Count;
        host.Services.GetRequiredService<RunBell>().Ring();
        foreach (RunStatus status in (RunStatus[])[RunStatus.Waiting, RunStatus.Running])
            while ((await store.ListAsync(EngineHost.Tenant, new RunFilter(status, "parked", null), null, 1)).Count > 0) await Task.Delay(20);
        return woken;
    }

    private static async Task<(int, double, double)> UsedAsync()
    {
        // Threads that the burst needed leave after 20 s without work.
        await Task.Delay(TimeSpan.FromSeconds(25));
        GCSettings.LargeObjectHeapCompactionMode = GCLargeObjectHeapCompactionMode.CompactOnce;
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        using Process process = Process.GetCurrentProcess();
        return (process.Threads.Count, GC.GetTotalMemory(true) / 1048576.0, process.WorkingSet64 / 1048576.0);
    }
}
