namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>The scenarios by name. Each starts fresh servers, so that none inherits the state of another.</summary>
internal sealed class ScenarioRunner(
    IReadOnlyDictionary<string, Candidate> candidates, Server provider, BenchOptions options)
{
    private const int Chunks = 40;
    private const int PaceMilliseconds = 5;
    private const int StreamsPerSecond = 200;
    private const int RequestsPerSecond = 500;

    private static readonly string[] Gateways = [CandidateList.Direct, CandidateList.Yarp, CandidateList.Platform];
    private static readonly string[] WithPortkey = [CandidateList.Yarp, CandidateList.Platform, CandidateList.Portkey];

    public async Task<IReadOnlyList<ScenarioResult>> RunAsync(string name, CancellationToken cancellationToken) => name switch
    {
        "json" => [await ClosedAsync("json", "JSON, closed loop at saturation", Gateways, stream: false, cancellationToken)],
        "stream" => [await ClosedAsync(
            "stream", $"Streams of {Chunks} chunks without delay, closed loop at saturation", Gateways, stream: true, cancellationToken)],
        "paced" => [await PacedAsync(cancellationToken)],
        "open" => [await OpenAsync(cancellationToken)],
        "abort" => [await AbortAsync(cancellationToken)],
        "agent" => [await AgentAsync(cancellationToken)],
        "portkey" =>
        [
            await ClosedAsync("portkey-json", "Beside Portkey: JSON, closed loop", WithPortkey, stream: false, cancellationToken),
            await ClosedAsync("portkey-stream", "Beside Portkey: streams, closed loop", WithPortkey, stream: true, cancellationToken),
        ],
        "peers" => [await PeersAsync(cancellationToken)],
        "production" => await ProductionAsync(cancellationToken),
        "memory" => [await MemoryScenario.RunAsync(candidates, provider, options, cancellationToken)],
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "Unknown scenario."),
    };

    private async Task<ScenarioResult> ClosedAsync(
        string name, string title, string[] names, bool stream, CancellationToken cancellationToken)
    {
        await SetPaceAsync(0, cancellationToken);
        using var arena = new Arena(candidates, provider, options);
        var contestants = await EnterAsync(arena, names, candidate => candidate.Chat(stream), cancellationToken);
        return new ScenarioResult(
            name, $"{title}, {options.Connections} connections", Layout.ClosedLoop,
            await Interleaved.RunAsync(contestants, WrkAsync, WrkAsync, options, cancellationToken));
    }

    private async Task<IReadOnlyList<ScenarioResult>> ProductionAsync(CancellationToken cancellationToken)
    {
        var platform = candidates[CandidateList.Platform];
        await using var stack = await ProductionStack.StartAsync(platform, options.Artifacts);
        var gateway = await stack.GatewayAsync(platform with { Address = CandidateList.FreeAddress() });
        var all = new Dictionary<string, Candidate>(candidates) { [CandidateList.Production] = gateway };
        string[] names = [CandidateList.Yarp, CandidateList.Platform, CandidateList.Production];
        var results = new List<ScenarioResult>();
        foreach (var stream in (bool[])[false, true])
        {
            await SetPaceAsync(0, cancellationToken);
            using var arena = new Arena(all, provider, options);
            var contestants = await EnterAsync(arena, names, candidate => candidate.Chat(stream), cancellationToken);
            results.Add(new ScenarioResult(
                stream ? "production-stream" : "production-json",
                $"Production: the gateway apart, with PostgreSQL, Redis and NATS: {(stream ? "streams" : "JSON")}, closed loop, {options.Connections} connections", Layout.ClosedLoop,
                await Interleaved.RunAsync(contestants, WrkAsync, WrkAsync, options, cancellationToken)));
        }
        return results;
    }

    private async Task<ScenarioResult> PacedAsync(CancellationToken cancellationToken)
    {
        await SetPaceAsync(PaceMilliseconds, cancellationToken);
        using var arena = new Arena(candidates, provider, options);
        var contestants = await EnterAsync(arena, Gateways, candidate => candidate.Chat(stream: true), cancellationToken);
        return new ScenarioResult(
            "paced", $"Streams of {Chunks} chunks, one each {PaceMilliseconds} ms, {StreamsPerSecond} streams/s, open loop", Layout.Paced,
            await Interleaved.RunAsync(contestants, WrkAsync, OpenLoopAt(StreamsPerSecond), options, cancellationToken));
    }

    private async Task<ScenarioResult> OpenAsync(CancellationToken cancellationToken)
    {
        using var arena = new Arena(candidates, provider, options);
        var contestants = await EnterAsync(arena, Gateways, candidate => candidate.Chat(stream: false), cancellationToken);
        return new ScenarioResult(
            "open", $"JSON, open loop at {RequestsPerSecond} requests/s, latency from the time each request was due", Layout.OpenLoop,
            await Interleaved.RunAsync(contestants, WrkAsync, OpenLoopAt(RequestsPerSecond), options, cancellationToken));
    }

    private async Task<ScenarioResult> AbortAsync(CancellationToken cancellationToken)
    {
        await SetPaceAsync(PaceMilliseconds, cancellationToken);
        using var arena = new Arena(candidates, provider, options);
        var contestants = await EnterAsync(arena, Gateways, candidate => candidate.Chat(stream: true), cancellationToken);
        Interleaved.Load abort = async (request, seconds, stop) =>
        {
            using var loop = new AbortLoop(request, provider.Candidate.Address);
            return await loop.RunAsync(seconds, stop);
        };
        return new ScenarioResult(
            "abort", "Clients that hang up in the middle of a stream: time until the provider sees it", Layout.Abort,
            await Interleaved.RunAsync(contestants, WrkAsync, abort, options, cancellationToken));
    }

    private async Task<ScenarioResult> AgentAsync(CancellationToken cancellationToken)
    {
        await SetPaceAsync(0, cancellationToken);
        using var arena = new Arena(candidates, provider, options);
        return new ScenarioResult(
            "agent", $"One-step agent runs, closed loop, {options.Connections} connections (a request is a run)", Layout.ClosedLoop,
            await Interleaved.RunAsync([await EnterAgentAsync(arena, cancellationToken)], WrkAsync, WrkAsync, options, cancellationToken));
    }

    private async Task<ScenarioResult> PeersAsync(CancellationToken cancellationToken)
    {
        await SetPaceAsync(0, cancellationToken);
        using var arena = new Arena(candidates, provider, options);
        List<Contestant> contestants = [await EnterAgentAsync(arena, cancellationToken), .. await EnterAsync(arena, [CandidateList.LangGraph, CandidateList.Mastra], candidate => candidate.Chat(stream: false), cancellationToken)];
        return new ScenarioResult(
            "peers", $"One-step agent runs beside other agent servers, closed loop, {options.Connections} connections (a request is a run; only the platform's are stored durably)", Layout.ClosedLoop,
            await Interleaved.RunAsync(contestants, WrkAsync, WrkAsync, options, cancellationToken));
    }

    private static async Task<Contestant> EnterAgentAsync(Arena arena, CancellationToken cancellationToken)
    {
        var contestant = await arena.EnterAsync(CandidateList.Platform, candidate => candidate.Chat(stream: false), cancellationToken);
        return contestant.Problem is not null ? contestant : contestant with
        {
            Request = contestant.Server!.Candidate.Chat(stream: false, AgentSetup.Model),
            Problem = await AgentSetup.PrepareAsync(contestant.Server.Candidate, cancellationToken),
        };
    }

    private static async Task<IReadOnlyList<Contestant>> EnterAsync(
        Arena arena, string[] names, Func<Candidate, ChatRequest> request, CancellationToken cancellationToken)
    {
        var contestants = new List<Contestant>();
        foreach (var name in names)
            contestants.Add(await arena.EnterAsync(name, request, cancellationToken));
        return contestants;
    }

    private Task<LoadResult> WrkAsync(ChatRequest request, int seconds, CancellationToken cancellationToken) =>
        Wrk.RunAsync(request, options.Connections, seconds, options.Artifacts, cancellationToken);

    private static Interleaved.Load OpenLoopAt(int perSecond) => async (request, seconds, cancellationToken) =>
    {
        using var loop = new OpenLoop(request, perSecond);
        return await loop.RunAsync(seconds, cancellationToken);
    };

    private async Task SetPaceAsync(int paceMilliseconds, CancellationToken cancellationToken)
    {
        using var client = new HttpClient();
        var address = new Uri(provider.Candidate.Address, $"/control?chunks={Chunks}&paceMs={paceMilliseconds}");
        using var response = await client.PostAsync(address, content: null, cancellationToken);
        response.EnsureSuccessStatusCode();
    }
}
