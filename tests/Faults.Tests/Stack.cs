using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Faults.Tests;

/// <summary>
/// The production stack of <c>eng/stack.sh</c> on ports of its own, each service a process, with a proxy in front of each backend. One stack
/// serves all the faults, as one installation does.
/// </summary>
public class Stack : IAsyncLifetime
{
    public const string Key = "maap_the-key-of-the-demo-tenant-in-tests";

    public static readonly string[] Services = ["tenant-service", "orchestrator", "analytics-service", "api-gateway"];

    // Each node of NATS has ten ports for itself: for clients, for its monitoring, for its cluster.
    private static readonly int[] Offsets = [222, 223, 224, 232, 233, 234, 242, 243, 244, 379, 432, 722, 732, 742, 879, 932, 1000, 1001, 1002, 1003];

    private readonly TempFolder _folder = new();
    private readonly List<FaultProxy> _nats = [];
    private int _ports, _via, _services;

    /// <summary>Why the tests cannot run here; null when they can, or must.</summary>
    public static string? Missing => Environment.GetEnvironmentVariable("CI") == "true" ? null
        : NatsServer.Missing ?? RedisServer.Missing ?? (Directory.Exists("/usr/lib/postgresql") ? null : "PostgreSQL is not installed (apt-get install postgresql).");

    public Uri Gateway => new($"http://127.0.0.1:{_services}");

    public int PostgresPort => _ports + 432;

    /// <summary>Where NATS, or its first node, tells what it does.</summary>
    protected Uri NatsMonitor => new($"http://127.0.0.1:{_ports + 223}");

    public FaultProxy Postgres { get; private set; } = null!;

    public FaultProxy Redis { get; private set; } = null!;

    /// <summary>In front of NATS, or of its first node.</summary>
    public FaultProxy Nats => _nats[0];

    /// <summary>How many servers NATS has: 1 or 3.</summary>
    protected virtual int NatsNodes => 1;

    public string Folder => Path.Combine(_folder.Path, "stack");

    public async ValueTask InitializeAsync()
    {
        if (Missing is not null) return;
        _ports = FreeRange();
        (_via, _services) = (_ports + 500, _ports + 1000);
        // The user that PostgreSQL runs as must reach its folder.
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(_folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        Postgres = new FaultProxy(_via + 432, _ports + 432);
        Redis = new FaultProxy(_via + 379, _ports + 379);
        for (int i = 0; i < NatsNodes; i++) _nats.Add(new FaultProxy(_via + 222 + 10 * i, _ports + 222 + 10 * i));
        await RunAsync("up");
    }

    public Task KillAsync(string name) => RunAsync("kill", name);

    public Task StartAsync(string name) => RunAsync("start", name);

    /// <summary>A password or the like that eng/stack.sh made.</summary>
    public string SecretOf(string name) => File.ReadLines(Path.Combine(Folder, "secrets")).First(l => l.StartsWith($"{name}=", StringComparison.Ordinal))[(name.Length + 1)..];

    /// <summary>The last lines of a process's log, for a test that failed.</summary>
    public string LogOf(string name) => string.Join('\n', File.ReadLines(Path.Combine(Folder, $"{name}.log")).TakeLast(30));

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        if (Missing is not null) return;
        if (Environment.GetEnvironmentVariable("MAAP_KEEP_LOGS") is { Length: > 0 } kept)
            foreach (string log in Directory.GetFiles(Folder, "*.log")) File.Copy(log, Path.Combine(kept, Path.GetFileName(log)), overwrite: true);
        await RunAsync("down");
        await Postgres.DisposeAsync();
        await Redis.DisposeAsync();
        foreach (FaultProxy nats in _nats) await nats.DisposeAsync();
        _folder.Dispose();
    }

    private async Task RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("bash", [Repository.At("eng/stack.sh"), .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (string name in (string[])["OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "DATABASE_URL", "REDIS_URL", "NATS_URL"]) start.Environment.Remove(name);
        start.Environment["MAAP_STACK_DIR"] = Folder;
        start.Environment["MAAP_STACK_BIN"] = Repository.Configuration;
        start.Environment["MAAP_STACK_PORTS"] = Text(_ports);
        start.Environment["MAAP_STACK_VIA"] = Text(_via);
        start.Environment["MAAP_STACK_SERVICES"] = Text(_services);
        start.Environment["MAAP_STACK_WITHOUT"] = "prometheus";
        start.Environment["MAAP_STACK_NATS_NODES"] = Text(NatsNodes);
        start.Environment["MAAP_BOOTSTRAP_API_KEY"] = Key;
        start.Environment["MAAP_BOOTSTRAP_ADMIN_PASSWORD"] = TestPlatform.DemoPassword;
        // The load of the tests is more than a tenant's usual.
        start.Environment["Limits__RequestsPerMinute"] = "1000000";
        start.Environment["Limits__Burst"] = "100000";
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(4));
        if (process.ExitCode != 0) throw new InvalidOperationException($"eng/stack.sh {string.Join(' ', arguments)}: {await output}{await errors}");
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    // Ports below those that the system gives out by itself, so that nobody takes one in between.
    private static int FreeRange()
    {
        for (int attempt = 0; attempt < 200; attempt++)
        {
            int first = Random.Shared.Next(12_000, 31_000);
            if (Offsets.All(offset => IsFree(first + offset))) return first;
        }
        throw new InvalidOperationException("There are no free ports.");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
