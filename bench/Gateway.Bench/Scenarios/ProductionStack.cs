using System.Diagnostics;

namespace MultiAgent.Bench.Gateway.Scenarios;

/// <summary>
/// The production mode: PostgreSQL, Redis, NATS and the other services by <c>eng/stack.sh</c>, all of them beside the gateway, which the benchmark starts itself and so measures
/// like any other server.
/// </summary>
internal sealed class ProductionStack : IAsyncDisposable
{
    private readonly string _root;
    private readonly Dictionary<string, string> _environment;

    private ProductionStack(string root, Dictionary<string, string> environment) => (_root, _environment) = (root, environment);

    /// <exception cref="BenchException">A backend is missing, or a service did not start.</exception>
    public static async Task<ProductionStack> StartAsync(Candidate platform, string artifacts)
    {
        var root = Directory.GetCurrentDirectory();
        var environment = new Dictionary<string, string>(platform.Environment)
        {
            ["MAAP_STACK_DIR"] = Path.Combine(artifacts, "stack"),
            ["MAAP_STACK_PORTS"] = "25000",
            ["MAAP_STACK_SERVICES"] = "25600",
            ["MAAP_STACK_WITHOUT"] = "api-gateway prometheus",
        };
        environment.Remove("MAAP_DATA_DIR");
        var stack = new ProductionStack(root, environment);
        if (Directory.Exists(environment["MAAP_STACK_DIR"]))
            Directory.Delete(environment["MAAP_STACK_DIR"], recursive: true);
        await stack.RunAsync("up");
        return stack;
    }

    /// <summary>The gateway as a process of its own, with what it needs to know of the others.</summary>
    public async Task<Candidate> GatewayAsync(Candidate platform)
    {
        var environment = new Dictionary<string, string>(platform.Environment) { ["MAAP_DATA_DIR"] = Path.Combine(_environment["MAAP_STACK_DIR"], "api-gateway") };
        foreach (var line in (await RunAsync("env")).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var (name, value) = line["export ".Length..].Split('=', 2) switch { [var n, var v] => (n, v), _ => throw new BenchException($"eng/stack.sh env says '{line}'.") };
            environment[name] = value;
        }
        var assembly = Path.Combine(_root, "artifacts/stack/api-gateway/MultiAgent.Gateway.dll");
        return platform with { Name = CandidateList.Production, Requires = assembly, Arguments = [assembly, "--urls", platform.Address.ToString()], Environment = environment };
    }

    public async ValueTask DisposeAsync() => await RunAsync("down");

    private async Task<string> RunAsync(string command)
    {
        var start = new ProcessStartInfo("bash", ["eng/stack.sh", command]) { WorkingDirectory = _root, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var (name, value) in _environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? await output : throw new BenchException($"eng/stack.sh {command} failed: {await errors}");
    }
}
