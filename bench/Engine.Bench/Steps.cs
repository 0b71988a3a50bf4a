using System.Diagnostics;

namespace MultiAgent.Bench.Engine;

/// <summary>What the engine takes for a step: alone, at half of saturation, and how many it makes in a second.</summary>
/// <param name="Alone">Median in ms, one run at a time.</param>
/// <param name="PerSecond">Steps in a second at saturation.</param>
/// <param name="CpuMs">CPU time of the process for a step at saturation.</param>
/// <param name="Half50">Median in ms at half of that rate.</param>
/// <param name="Half99">99th percentile in ms at half of that rate.</param>
internal sealed record StepResult(double Alone, double PerSecond, double CpuMs, double Half50, double Half99);

internal static class Steps
{
    private const int Concurrency = 32;

    /// <summary>What is measured: the turns of an agent in its own run, or the steps of the workflow of this name.</summary>
    public static readonly string[] All = ["turns", "tools", "agents"];

    public static async Task<StepResult> MeasureAsync(EngineHost host, string what, double seconds)
    {
        using var times = new StepTimes();
        Func<Task> run = what == "turns" ? host.RunCallerAsync : () => host.RunAsync(what);
        Func<double[]> take = what == "turns" ? host.Model.TakeTurns : times.Take;
        await LoopAsync(run, Concurrency, seconds / 2);
        take();

        await LoopAsync(run, 1, seconds / 2);
        double alone = StepTimes.Percentile(take(), 0.5);

        using Process process = Process.GetCurrentProcess();
        TimeSpan cpu = process.TotalProcessorTime;
        double elapsed = await LoopAsync(run, Concurrency, seconds);
        process.Refresh();
        int steps = take().Length;
        double cpuMs = (process.TotalProcessorTime - cpu).TotalMilliseconds / steps, perSecond = steps / elapsed;

        await PacedAsync(run, perSecond / 2 / BenchWorkflows.Steps, seconds);
        double[] half = take();
        return new StepResult(alone, perSecond, cpuMs, StepTimes.Percentile(half, 0.5), StepTimes.Percentile(half, 0.99));
    }

    /// <summary>Keeps so many runs going; returns the seconds until the last has ended.</summary>
    private static async Task<double> LoopAsync(Func<Task> run, int concurrency, double seconds)
    {
        long begun = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, concurrency).Select(_ => Task.Run(async () =>
        {
            while (Stopwatch.GetElapsedTime(begun).TotalSeconds < seconds) await run();
        })));
        return Stopwatch.GetElapsedTime(begun).TotalSeconds;
    }

    /// <summary>Starts runs by a timetable, whatever becomes of those before.</summary>
    private static async Task PacedAsync(Func<Task> run, double perSecond, double seconds)
    {
        long begun = Stopwatch.GetTimestamp();
        var runs = new List<Task>();
        for (int i = 0; i < perSecond * seconds; i++)
        {
            TimeSpan due = TimeSpan.FromSeconds(i / perSecond) - Stopwatch.GetElapsedTime(begun);
            if (due > TimeSpan.Zero) await Task.Delay(due);
            runs.Add(Task.Run(run));
        }
        await Task.WhenAll(runs);
    }
}
