using System.Globalization;

namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>Resident memory of a fresh server at rest, and after each 50 000 requests: does it stay flat?</summary>
internal static class MemoryScenario
{
    private const int Step = 50_000;
    private const int Steps = 4;

    private static readonly TimeSpan LongestStep = TimeSpan.FromMinutes(3);

    public static async Task<ScenarioResult> RunAsync(
        IReadOnlyDictionary<string, Candidate> candidates, Server provider, BenchOptions options, CancellationToken cancellationToken)
    {
        var measurements = new List<Measurement>();
        foreach (var name in new[] { CandidateList.Yarp, CandidateList.Platform })
        {
            using var arena = new Arena(candidates, provider, options);
            var contestant = await arena.EnterAsync(name, candidate => candidate.Chat(stream: false), cancellationToken);
            if (contestant.Problem is not null)
                measurements.Add(new Measurement(name, [], contestant.Problem));
            else
                measurements.AddRange(await OneAsync(contestant.Server!, options, cancellationToken));
        }
        return new ScenarioResult("memory", "Resident memory, four JSON seconds to one of streams", Layout.Memory, measurements);
    }

    private static async Task<List<Measurement>> OneAsync(Server server, BenchOptions options, CancellationToken cancellationToken)
    {
        await Task.Delay(TimeSpan.FromSeconds(5), cancellationToken);
        var rows = new List<Measurement> { Row(server, "at rest", new Total()) };
        var soFar = 0L;
        for (var step = 1; step <= Steps; step++)
        {
            Progress.Write($"  {server.Name} to {step * Step} requests");
            var total = new Total();
            while (total.Requests < Step && total.Seconds < LongestStep.TotalSeconds)
                for (var turn = 0; turn < 2; turn++)
                {
                    var stream = turn == 1;
                    var load = await Wrk.RunAsync(
                        server.Candidate.Chat(stream), options.Connections, stream ? 1 : 4, options.Artifacts, cancellationToken);
                    total = new Total(total.Requests + load.Requests, total.Failures + load.Failures, total.Seconds + load.Seconds);
                }
            soFar += total.Requests;
            // A moment to settle: what is read is the level that stays, not the peak.
            await Task.Delay(TimeSpan.FromSeconds(3), cancellationToken);
            rows.Add(Row(server, string.Create(CultureInfo.InvariantCulture, $"after {soFar:N0}"), total));
        }
        return rows;
    }

    private static Measurement Row(Server server, string when, Total total)
    {
        var reading = server.Read();
        var none = new Percentiles(0, 0, 0, 0);
        var load = new LoadResult { Requests = total.Requests, Failures = total.Failures, Seconds = total.Seconds, Latency = none };
        return new Measurement($"{server.Name} {when}", [new Round(load, 0, reading.HeapBytes, reading.ResidentBytes)]);
    }

    private readonly record struct Total(long Requests, long Failures, double Seconds);
}
