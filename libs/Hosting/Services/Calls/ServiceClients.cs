using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Data;
using MultiAgent.Hosting.Health;
using MultiAgent.Hosting.Services.Tls;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Services.Calls;

/// <summary>The clients of the services that this process calls; each is made when it is first asked for.</summary>
internal sealed class ServiceClients(ServiceTopology topology, ServiceTokens tokens, ServiceTls tls, TimeProvider time, ILoggerFactory loggers) : IHealthProbeSource, IDisposable
{
    private readonly ConcurrentDictionary<string, Lazy<ServiceClient>> _clients = new(StringComparer.Ordinal);

    /// <summary>The front door looks after every service, since its requests go to all of them.</summary>
    public IEnumerable<ServiceClient> Used => topology.Process == ServiceTopology.FrontDoor ? topology.Remote.Select(r => For(r.Name)) : _clients.Values.Select(c => c.Value);

    public IEnumerable<IHealthProbe> Probes => Used.Select(c => new ServiceProbe(c, topology.Process));

    public ServiceClient For(string service) => _clients.GetOrAdd(service, name => new Lazy<ServiceClient>(() => new ServiceClient(
        topology.Find(name) ?? throw new StartupException($"This process needs the {name}, and does not know where it is."), tokens, tls, time, loggers.CreateLogger<ServiceClient>()))).Value;

    public void Dispose()
    {
        foreach (Lazy<ServiceClient> client in _clients.Values)
            if (client.IsValueCreated) client.Value.Dispose();
    }

    /// <summary>A service that is away takes some of this one's answers with it, not this one.</summary>
    private sealed class ServiceProbe(ServiceClient client, string process) : IHealthProbe
    {
        public string Service => process;

        public string Name => $"service:{client.Name}";

        public ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
        {
            int all = client.Addresses.All.Count, ready = client.Addresses.All.Count(a => a.IsReady);
            return new(ready == all ? ProbeResult.Ok($"{ready} of {all} ready") : ProbeResult.Degraded($"{ready} of {all} ready"));
        }
    }
}

/// <summary>Looks at <c>/health/ready</c> of each address every second, so that a service that drains gets no more requests before it stops to listen.</summary>
internal sealed class ServiceWatch(ServiceClients clients, ServiceTls tls, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var handler = new SocketsHttpHandler();
        ServiceHttp.Configure(handler, tls);
        using var http = new HttpMessageInvoker(handler);
        var looking = new ConcurrentDictionary<ServiceAddress, Task>();
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            foreach (ServiceAddress address in clients.Used.SelectMany(c => c.Addresses.All))
                // One that hangs must not hold up the look at the others.
                if (!looking.TryGetValue(address, out Task? last) || last.IsCompleted) looking[address] = LookAsync(http, address, stoppingToken);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task LookAsync(HttpMessageInvoker http, ServiceAddress address, CancellationToken stoppingToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
        try
        {
            using HttpResponseMessage response = await http.SendAsync(new HttpRequestMessage(HttpMethod.Get, new Uri(address.Url, "/health/ready")), limit.Token);
            address.IsReady = response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            if (!stoppingToken.IsCancellationRequested) address.IsReady = false;
        }
    }
}
