using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace MultiAgent.Platform.EndToEnd.Tests.Services;

/// <summary>One service in a process of its own, on an address that it keeps over restarts.</summary>
internal sealed class ServiceProcess(string service, string assembly, string url, TempFolder data, IReadOnlyDictionary<string, string?> environment)
{
    private PlatformProcess? _process;

    public string Service => service;

    public string Url => url;

    public PlatformProcess Process => _process ?? throw new InvalidOperationException($"{service} is not running.");

    public async Task StartAsync() => _process = await PlatformProcess.StartAsync(PlatformProcess.AssemblyOf(service, assembly), data.Path, environment, ["--urls", url]);

    /// <summary>SIGTERM; returns the exit code.</summary>
    public async Task<int> StopAsync()
    {
        Process.Signal(PlatformProcess.SigTerm);
        int exit = await Process.ExitCodeAsync();
        await Process.DisposeAsync();
        _process = null;
        return exit;
    }

    public async ValueTask EndAsync()
    {
        if (_process is not null) await _process.DisposeAsync();
        data.Dispose();
    }
}

/// <summary>The platform as separate processes over NATS, with as many replicas as the storage allows.</summary>
internal sealed class ServiceProcesses : IAsyncDisposable
{
    private const string Secret = "the-secret-between-services-in-tests-0123456789";

    private readonly List<ServiceProcess> _all = [];
    private readonly List<IAsyncDisposable> _servers = [];

    public FakeProvider Provider { get; private set; } = null!;

    public IReadOnlyList<ServiceProcess> All => _all;

    public IReadOnlyList<ServiceProcess> Of(string service) => [.. _all.Where(p => p.Service == service)];

    /// <param name="replicas">Processes of each service; SQLite takes one of each but the gateway.</param>
    /// <param name="shared">The database that services share; needed where one has replicas.</param>
    /// <param name="settings">Settings of all.</param>
    public static async Task<ServiceProcesses> StartAsync(IReadOnlyDictionary<string, int> replicas, IReadOnlyDictionary<string, string?>? shared = null, IReadOnlyDictionary<string, string?>? settings = null)
    {
        var processes = new ServiceProcesses { Provider = await FakeProvider.StartAsync() };
        try
        {
            NatsServer nats = await NatsServer.StartAsync();
            processes._servers.Add(nats);
            var environment = new Dictionary<string, string?>(PlatformEnvironment.With(processes.Provider)) { ["NATS_URL"] = nats.Url, ["JWT_SECRET"] = Secret, ["Limits__RequestsPerMinute"] = "1000000", ["Limits__Burst"] = "100000" };
            foreach ((string name, string? value) in settings ?? new Dictionary<string, string?>()) environment[name] = value;
            (string Service, string Assembly)[] services = [("tenant-service", "Tenants"), ("orchestrator", "Orchestrator"), ("analytics-service", "Analytics"), ("api-gateway", "Gateway")];
            foreach ((string service, string assembly) in services)
            {
                string[] urls = [.. Enumerable.Range(0, replicas.GetValueOrDefault(service, 1)).Select(_ => $"http://127.0.0.1:{FreePort.Next().ToString(CultureInfo.InvariantCulture)}")];
                environment[$"Services__{service.Replace('-', '_')}__Urls"] = string.Join(';', urls);
                foreach (string url in urls)
                {
                    Dictionary<string, string?> own = new(environment);
                    foreach ((string name, string? value) in shared ?? new Dictionary<string, string?>()) own[name] = value;
                    processes._all.Add(new ServiceProcess(service, assembly, url, new TempFolder(), own));
                }
            }
            // The tenant service first: it makes the tenant that the others are told of. Then two at a time, since a start is long and most of it waits for one core.
            await processes._all[0].StartAsync();
            await Parallel.ForEachAsync(processes._all.Skip(1), new ParallelOptions { MaxDegreeOfParallelism = 2 }, async (process, _) => await process.StartAsync());
            return processes;
        }
        catch
        {
            await processes.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ServiceProcess process in Enumerable.Reverse(_all)) await process.EndAsync();
        foreach (IAsyncDisposable server in _servers) await server.DisposeAsync();
        await Provider.DisposeAsync();
    }
}
