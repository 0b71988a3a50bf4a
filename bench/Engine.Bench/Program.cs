using System.Diagnostics;
using System.Globalization;
using MultiAgent.Bench.Bus;
using MultiAgent.Bench.Engine;
using MultiAgent.Bench.Usage;

// Usage: bench/engine.sh [--seconds N] [--rounds N] [--parked N] [--only embedded,postgres,rebuild,parked] [--steps turns,tools,agents]
var (seconds, rounds, parked, only, steps) = (8.0, 3, 10_000, "embedded,postgres,rebuild,parked", string.Join(',', Steps.All));
for (var i = 0; i + 1 < args.Length; i += 2)
{
    switch (args[i])
    {
        case "--seconds": seconds = double.Parse(args[i + 1], CultureInfo.InvariantCulture); break;
        case "--rounds": rounds = int.Parse(args[i + 1], CultureInfo.InvariantCulture); break;
        case "--parked": parked = int.Parse(args[i + 1], CultureInfo.InvariantCulture); break;
        case "--only": only = args[i + 1]; break;
        case "--steps": steps = args[i + 1]; break;
        default: throw new FormatException($"Unknown option {args[i]}.");
    }
}

var others = OtherCpu();
var begun = Stopwatch.GetTimestamp();
var lines = new List<string>();
try
{
    await using var embedded = await EngineHost.StartAsync();
    await using PostgresProcess? postgres = Wants("postgres") ? await PostgresProcess.StartAsync() : null;
    await using NatsProcess? nats = Wants("postgres") ? await NatsProcess.StartAsync() : null;
    await using EngineHost? production = Wants("postgres") ? await EngineHost.StartAsync(postgres, nats!.Url) : null;
    (string Name, EngineHost? Host)[] hosts = [("embedded", Wants("embedded") ? embedded : null), ("PostgreSQL and NATS", production)];
    var results = new Dictionary<(string, string), List<StepResult>>();
    for (var round = 0; round < rounds; round++)
        foreach (var (name, host) in hosts.Where(h => h.Host is not null))
            foreach (var workflow in Steps.All.Where(s => steps.Split(',').Contains(s)))
            {
                Console.Error.WriteLine($"  round {round + 1} {name} {workflow}");
                if (!results.TryGetValue((name, workflow), out var list)) results[(name, workflow)] = list = [];
                list.Add(await Steps.MeasureAsync(host!, workflow, seconds));
            }
    foreach (var ((name, workflow), list) in results)
        Add($"| {name}: a step {(workflow switch { "turns" => "of an agent's run: a call of the model and of a tool", "tools" => "that calls a tool", _ => "that asks an agent" })} | {Of(list, r => r.Alone):0.00} | {Of(list, r => r.Half50):0.00} | {Of(list, r => r.Half99):0.00} | {Of(list, r => r.PerSecond):N0} | {Of(list, r => r.CpuMs):0.000} | {1000 / Of(list, r => r.CpuMs):N0} |");
    if (Wants("rebuild"))
    {
        foreach (var (name, host) in hosts.Where(h => h.Host is not null || h.Name == "embedded"))
        {
            var r = await Rebuild.MeasureAsync(host ?? embedded, 15);
            Add($"Rebuild of a run of {r.Events:N0} events, {name}: {r.ReadMs + r.BuildMs:0.0} ms from the whole log ({r.ReadMs:0.0} ms to read it, {r.BuildMs:0.0} ms to build the state from it); {r.SnapshotMs:0.0} ms from a snapshot and the {r.Since:N0} events since.");
        }
    }
    if (Wants("parked"))
    {
        var p = await Parked.MeasureAsync(embedded, parked);
        Add($"{p.Runs:N0} parked runs: {p.Threads} threads, {p.HeapMb:0.0} MB of managed memory and {p.ResidentMb:0.0} MB of the process more than before; {p.WakeSeconds:0.0} s from the event that all wait for to the end of the last.");
    }
}
catch (Exception e)
{
    // Caught, so that the servers have been stopped by now.
    Console.Error.WriteLine(e);
    return 1;
}

var busy = (OtherCpu() - others) / Stopwatch.GetElapsedTime(begun).TotalSeconds;
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Engine, {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC: medians of {rounds} rounds of {seconds} s in turn; every write is synced to disk; other processes, the database's among them, kept {busy:0.00} cores busy."));
Console.WriteLine();
Console.WriteLine("| | alone: p50 ms | half of saturation: p50 ms | p99 ms | steps/s | CPU ms/step | steps per CPU second |");
Console.WriteLine("|---|---:|---:|---:|---:|---:|---:|");
foreach (var line in lines) Console.WriteLine(line);
return 0;

bool Wants(string name) => only.Split(',').Contains(name);

void Add(FormattableString line) => lines.Add(FormattableString.Invariant(line));

static double Of(List<StepResult> list, Func<StepResult, double> value) => Rebuild.Median(list.Select(value));

static double OtherCpu()
{
    var fields = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries);
    using var process = Process.GetCurrentProcess();
    return fields[1..4].Sum(f => long.Parse(f, CultureInfo.InvariantCulture)) / 100.0 - process.TotalProcessorTime.TotalSeconds;
}
