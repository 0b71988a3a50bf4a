using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Data;

namespace MultiAgent.Hosting.Services;

/// <summary>A service of the platform that runs in other processes, and where they are.</summary>
public sealed record RemoteService(string Name, IReadOnlyList<Uri> Urls);

/// <summary>Which services are in this process, and where the others are.</summary>
public sealed class ServiceTopology
{
    /// <summary>The service that the world outside talks to.</summary>
    public const string FrontDoor = "api-gateway";

    /// <summary>The service that turns credentials into callers.</summary>
    public const string Tenants = "tenant-service";

    /// <summary>The service that runs agents.</summary>
    public const string Orchestrator = "orchestrator";

    private static readonly Dictionary<string, int> Ports = new()
    {
        [FrontDoor] = 8080,
        [Orchestrator] = 8081,
        [Tenants] = 8082,
        ["analytics-service"] = 8083,
    };

    private ServiceTopology(string process, IReadOnlySet<string> local, IReadOnlyList<RemoteService> remote, bool tls) =>
        (Process, Local, Remote, Tls, IsApart, IsCalledInside) = (process, local, remote, tls, Ports.ContainsKey(process), Ports.ContainsKey(process) && process != FrontDoor);

    /// <summary>Name of the process: a service's, or <c>platform</c> for all in one.</summary>
    public string Process { get; }

    /// <summary>The services in this process.</summary>
    public IReadOnlySet<string> Local { get; }

    /// <summary>The services in other processes; none in the all-in-one process.</summary>
    public IReadOnlyList<RemoteService> Remote { get; }

    /// <summary>True when the process is one service among others, and not the whole platform.</summary>
    public bool IsApart { get; }

    /// <summary>True when this process is called by others of the platform and trusts their tokens. Nobody inside calls the front door.</summary>
    public bool IsCalledInside { get; }

    /// <summary>Where the process listens when nothing else is configured. The front door's certificate is the operator's affair.</summary>
    public string DefaultUrl => Url(Process, Tls && IsCalledInside);

    private bool Tls { get; }

    /// <summary>A service in another process; null when it is in this one.</summary>
    public RemoteService? Find(string name) => Remote.FirstOrDefault(r => r.Name == name);

    /// <summary>Reads the addresses from <c>Services:&lt;name&gt;:Urls</c>.</summary>
    /// <exception cref="StartupException">An address cannot be read.</exception>
    internal static ServiceTopology Of(string process, IReadOnlyList<IServiceModule> modules, IConfiguration configuration)
    {
        var local = modules.Select(m => m.Name).ToHashSet(StringComparer.Ordinal);
        bool tls = !string.IsNullOrEmpty(configuration["Services:Tls:Certificate"]);
        RemoteService[] remote = Ports.ContainsKey(process)
            ? [.. Ports.Keys.Where(name => !local.Contains(name)).Select(name => new RemoteService(name, UrlsOf(name, configuration, tls)))]
            : [];
        return new ServiceTopology(process, local, remote, tls);
    }

    private static Uri[] UrlsOf(string name, IConfiguration configuration, bool tls)
    {
        // A shell takes no hyphen in the name of a variable.
        string[] texts = [.. ((string[])[name, name.Replace('-', '_')]).Distinct().SelectMany(n => Texts(configuration.GetSection($"Services:{n}:Urls")))];
        if (texts.Length == 0) texts = [Url(name, tls && name != FrontDoor)];
        return [.. texts.Distinct().Select(t => Uri.TryCreate(t, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https" && url.Host.Length > 0
            ? url : throw new StartupException($"Services:{name}:Urls holds '{t}', which is no address like {Url(name, tls)}."))];
    }

    private static IEnumerable<string> Texts(IConfigurationSection urls) => urls.GetChildren().Select(c => c.Value).Prepend(urls.Value)
        .SelectMany(v => (v ?? "").Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    private static string Url(string name, bool tls) => $"{(tls ? "https" : "http")}://localhost:{Ports.GetValueOrDefault(name, Ports[FrontDoor])}";
}

/// <summary>Lets modules look at the topology while they register their services.</summary>
public static class TopologyExtensions
{
    /// <summary>The topology of the host that is being built.</summary>
    public static ServiceTopology Topology(this IHostApplicationBuilder builder) =>
        builder.Services.Select(s => s.ImplementationInstance).OfType<ServiceTopology>().FirstOrDefault()
        ?? throw new InvalidOperationException("The host has no topology: build it with PlatformHost.");
}
