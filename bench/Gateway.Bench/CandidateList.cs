using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Bench.Gateway;

/// <summary>Who takes part. To add a server, add an entry.</summary>
internal static class CandidateList
{
    public const string Direct = "direct";
    public const string Yarp = "yarp";
    public const string Platform = "platform";
    public const string Portkey = "portkey";
    public const string Production = "production";
    public const string LangGraph = "langgraph";
    public const string Mastra = "mastra";

    private const string ApiKey = "maap_bench_8f3b1c9e5a7d42608f3b1c9e5a7d4260";

    public static Dictionary<string, Candidate> Create(string artifacts)
    {
        var bin = Path.Combine(artifacts, "bin");
        var provider = FreeAddress();
        var direct = DotNet(Direct, Path.Combine(bin, "fake-provider"), provider) with { ReadyPath = "/stats" };

        var yarp = DotNet(Yarp, Path.Combine(bin, "yarp"), FreeAddress()) with
        {
            ReadyPath = "/stats",
            Headers = Bearer(ApiKey),
            Environment = new Dictionary<string, string> { ["Upstream"] = provider.ToString() },
        };

        var platform = DotNet(Platform, Path.Combine(bin, "platform"), FreeAddress()) with
        {
            ReadyPath = "/health/ready",
            Model = "fake/bench-model",
            Headers = Bearer(ApiKey),
            Environment = new Dictionary<string, string>
            {
                ["MAAP_DATA_DIR"] = Path.Combine(artifacts, "data"),
                ["MAAP_BOOTSTRAP_API_KEY"] = ApiKey,
                ["Models__Providers__fake__Type"] = "openai",
                ["Models__Providers__fake__BaseUrl"] = new Uri(provider, "/v1").ToString(),
                ["Models__Providers__fake__ApiKey"] = "x",
                // The limiter runs on every request and never refuses one.
                ["Limits__RequestsPerMinute"] = "100000000",
                ["Limits__Burst"] = "100000000",
                ["Limits__ConcurrentRuns"] = "100000",
            },
        };

        var portkeyAddress = FreeAddress();
        var portkeyStart = Path.Combine(artifacts, "portkey", "node_modules", "@portkey-ai", "gateway", "build", "start-server.js");
        var portkey = new Candidate
        {
            Name = Portkey,
            Command = "node",
            Arguments = [portkeyStart, "--headless", $"--port={portkeyAddress.Port}"],
            Requires = portkeyStart,
            Address = portkeyAddress,
            Environment = new Dictionary<string, string> { ["NODE_ENV"] = "production" },
            Headers = new Dictionary<string, string>(Bearer("x"))
            {
                ["x-portkey-provider"] = "openai",
                ["x-portkey-custom-host"] = new Uri(provider, "/v1").ToString(),
            },
        };

        var peers = Path.Combine(artifacts, "peers");
        var langGraph = Node(LangGraph, Path.Combine(peers, "langgraph.mjs"), provider);
        var mastra = Node(Mastra, Path.Combine(peers, ".mastra", "output", "index.mjs"), provider) with { ReadyPath = "/api/agents", ChatPath = "/api/agents/bench/generate", Model = "" };

        return new[] { direct, yarp, platform, portkey, langGraph, mastra }.ToDictionary(candidate => candidate.Name);
    }

    /// <summary>A published .NET server: its folder holds one deps.json, which names the assembly to start.</summary>
    private static Candidate DotNet(string name, string folder, Uri address)
    {
        var config = Directory.Exists(folder) ? Directory.GetFiles(folder, "*.deps.json").FirstOrDefault() : null;
        var assembly = config?.Replace(".deps.json", ".dll", StringComparison.Ordinal) ?? Path.Combine(folder, "*.dll");
        return new Candidate
        {
            Name = name,
            Command = "dotnet",
            Arguments = [assembly, "--urls", address.ToString()],
            Requires = assembly,
            Address = address,
            IsDotNet = true,
        };
    }

    /// <summary>An agent server of <c>bench/peers</c>.</summary>
    private static Candidate Node(string name, string script, Uri provider)
    {
        var address = FreeAddress();
        return new Candidate
        {
            Name = name,
            Command = "node",
            Arguments = [script],
            Requires = script,
            Address = address,
            Environment = new Dictionary<string, string>
            {
                ["NODE_ENV"] = "production",
                ["PORT"] = address.Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
                ["MASTRA_HOST"] = "127.0.0.1",
                ["MASTRA_TELEMETRY_DISABLED"] = "1",
                ["PROVIDER"] = new Uri(provider, "/v1").ToString(),
            },
        };
    }

    private static Dictionary<string, string> Bearer(string key) => new() { ["Authorization"] = $"Bearer {key}" };

    public static Uri FreeAddress() => new($"http://127.0.0.1:{FreePort()}");

    public static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
