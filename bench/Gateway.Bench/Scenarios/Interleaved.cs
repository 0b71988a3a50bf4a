namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>
/// Gives all servers the same load in turn, A B C, A B C, so that a machine that gets slower or faster meanwhile
/// does so for all of them.
/// </summary>
internal static class Interleaved
{
    public delegate Task<LoadResult> Load(ChatRequest request, int seconds, CancellationToken cancellationToken);

    public static async Task<IReadOnlyList<Measurement>> RunAsync(
        IReadOnlyList<Contestant> contestants, Load warmUp, Load load, BenchOptions options, CancellationToken cancellationToken)
    {
        var rounds = contestants.ToDictionary(contestant => contestant, _ => new List<Round>());
        var problems = contestants.ToDictionary(contestant => contestant, contestant => contestant.Problem);

        // Round 0 warms up: full load for the server (compilation, caches), then a moment of the measured load for its generator.
        for (var round = options.Warmup > 0 ? 0 : 1; round <= options.Rounds; round++)
        {
            foreach (var contestant in contestants.Where(c => problems[c] is null))
            {
                Progress.Write(round == 0 ? $"  warm-up {contestant.Name}" : $"  round {round} {contestant.Name}");
                try
                {
                    if (round == 0)
                        await warmUp(contestant.Request!, options.Warmup, cancellationToken);
                    var seconds = round == 0 ? Math.Min(2, options.Seconds) : options.Seconds;
                    var result = await OneAsync(contestant.Server!, contestant.Request!, load, seconds, cancellationToken);
                    if (round == 0)
                        continue;
                    if (result.Load.Requests == 0)
                        problems[contestant] = $"no request succeeded in round {round} ({result.Load.Failures} failed)";
                    else
                        rounds[contestant].Add(result);
                }
                catch (BenchException exception)
                {
                    problems[contestant] = exception.Message;
                }
            }
        }

        return [.. contestants.Select(contestant => new Measurement(contestant.Name, rounds[contestant], problems[contestant]))];
    }

    private static async Task<Round> OneAsync(
        Server server, ChatRequest request, Load load, int seconds, CancellationToken cancellationToken)
    {
        var othersBefore = OtherCpuSeconds();
        var before = server.Read();
        var result = await load(request, seconds, cancellationToken);
        var after = server.Read();
        return new Round(
            result,
            after.CpuSeconds - before.CpuSeconds,
            after.AllocatedBytes - before.AllocatedBytes,
            after.ResidentBytes)
        {
            OtherCores = Math.Max(0, OtherCpuSeconds() - othersBefore) / result.Seconds,
        };
    }

    // The servers and wrk are children of this process.
    private static double OtherCpuSeconds() => ProcessTree.MachineCpuSeconds() - ProcessTree.CpuSeconds(Environment.ProcessId);
}
