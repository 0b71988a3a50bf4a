using System.Runtime.InteropServices;
using MultiAgent.Bench.Gateway;
using MultiAgent.Bench.Gateway.Scenarios;

BenchOptions options;
try
{
    options = BenchOptions.Parse(args);
    options = options with { Artifacts = Path.GetFullPath(options.Artifacts) };
}
catch (FormatException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 2;
}

using var stop = new CancellationTokenSource();
// Both signals end the run in order, so that no server stays behind.
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Cancel);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Cancel);

var report = new Report(options, DateTimeOffset.UtcNow);
try
{
    var candidates = CandidateList.Create(options.Artifacts);
    using var provider = await Server.StartAsync(candidates[CandidateList.Direct], options, stop.Token);
    var runner = new ScenarioRunner(candidates, provider, options);
    foreach (var scenario in options.Only)
    {
        Progress.Write($"Scenario {scenario}");
        report.Add(await runner.RunAsync(scenario, stop.Token));
    }
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    Console.Error.WriteLine("Stopped; what follows is what was measured until then.");
}
catch (BenchException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}

report.Save(options.Artifacts);
Console.WriteLine(report.ToMarkdown());
return report.HasFailures || stop.IsCancellationRequested ? 1 : 0;

void Cancel(PosixSignalContext context)
{
    context.Cancel = true;
    stop.Cancel();
}
