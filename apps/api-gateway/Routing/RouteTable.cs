using Yarp.ReverseProxy.Configuration;
using Yarp.ReverseProxy.Forwarder;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.LoadBalancing;
using MultiAgent.Hosting.Services;

namespace MultiAgent.Gateway.Routing;

/// <summary>Which paths belong to which service, and how its replicas are called.</summary>
internal static class RouteTable
{
    /// <summary>Route metadata: anybody may call it; the service decides.</summary>
    public const string Anonymous = "anonymous";

    // A stream that is silent for so long is broken: runs say something every few seconds.
    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(5);

    private static readonly Path[] Paths =
    [
        new("orchestrator", "agents"),
        new("orchestrator", "workflows"),
        new("orchestrator", "tools"),
        new("orchestrator", "tool-sources"),
        new("orchestrator", "tool-results"),
        // Runs have the agent's time limit, and their streams end with them.
        new("orchestrator", "chat") { Unlimited = true },
        new("orchestrator", "runs"),
        // Whoever starts a run may wait for its end.
        new("orchestrator", "runs") { Unlimited = true, Exact = true },
        new("orchestrator", "runs/{id}/events") { Unlimited = true, Exact = true },
        new("orchestrator", "approvals"),
        new("orchestrator", "compensations"),
        new("orchestrator", "events"),
        new("orchestrator", "hooks") { Anonymous = true },
        new("orchestrator", "conversations"),
        // As long as a model takes.
        new("orchestrator", "conversations/{id}/compact") { Unlimited = true, Exact = true },
        new("orchestrator", "messages"),
        new("orchestrator", "memories"),
        new("orchestrator", "feedback"),
        new("orchestrator", "webhook-endpoints"),
        new("orchestrator", "schedules"),
        new("orchestrator", "/v1/responses") { Unlimited = true },
        // An MCP session's stream and a task's stream are open as long as their reader likes.
        new("orchestrator", "/mcp") { Unlimited = true },
        new("orchestrator", "/a2a") { Unlimited = true },
        new("tenant-service", "auth") { Anonymous = true },
        new("tenant-service", "me"),
        new("tenant-service", "users"),
        new("tenant-service", "keys"),
        new("tenant-service", "tenant"),
        new("tenant-service", "tenants") { Anonymous = true },
        new("analytics-service", "usage"),
        new("analytics-service", "journeys"),
        new("analytics-service", "requests"),
    ];

    private sealed record Path(string Service, string Text)
    {
        /// <summary>With a slash in front the text is the whole path, and otherwise what comes below <c>/api/v1</c>.</summary>
        public string Full => Text[0] == '/' ? Text : $"/api/v1/{Text}";

        public bool Unlimited { get; init; }

        public bool Exact { get; init; }

        public bool Anonymous { get; init; }
    }

    /// <summary>First segments below <c>/api/v1</c>, with their service.</summary>
    public static IEnumerable<(string Service, string Segment)> Segments => Paths.Where(p => !p.Exact && p.Text[0] != '/').Select(p => (p.Service, p.Text));

    public static IReadOnlyList<RouteConfig> RoutesOf(IReadOnlyList<RemoteService> remote) =>
    [
        .. Paths.Where(p => remote.Any(r => r.Name == p.Service)).Select(p => Route(p.Service, p.Full, p)),
        .. remote.Select(r => Route(r.Name, $"/api/v1/{r.Name}/health", new Path(r.Name, "health") { Anonymous = true, Exact = true })),
    ];

    public static IReadOnlyList<ClusterConfig> ClustersOf(IReadOnlyList<RemoteService> remote) => [.. remote.Select(r => new ClusterConfig
    {
        ClusterId = r.Name,
        LoadBalancingPolicy = LoadBalancingPolicies.PowerOfTwoChoices,
        Destinations = r.Urls.ToDictionary(u => u.ToString(), u => new DestinationConfig { Address = u.ToString() }),
        HealthCheck = new HealthCheckConfig
        {
            // All down: try them all the same, rather than refuse without having asked.
            AvailableDestinationsPolicy = HealthCheckConstants.AvailableDestinations.HealthyOrPanic,
            Active = new ActiveHealthCheckConfig
            {
                Enabled = true,
                Interval = TimeSpan.FromSeconds(1),
                Timeout = TimeSpan.FromSeconds(3),
                Policy = HealthCheckConstants.ActivePolicy.ConsecutiveFailures,
                Path = "/health/ready",
            },
            Passive = new PassiveHealthCheckConfig { Enabled = true, Policy = HealthCheckConstants.PassivePolicy.TransportFailureRate, ReactivationPeriod = TimeSpan.FromSeconds(2) },
        },
        // One look is enough: a service that drains says so once, and has five seconds left.
        Metadata = new Dictionary<string, string> { [ConsecutiveFailuresHealthPolicyOptions.ThresholdMetadataName] = "1" },
        HttpRequest = new ForwarderRequestConfig { Version = System.Net.HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact, ActivityTimeout = Silence, AllowResponseBuffering = false },
    })];

    private static string MatchOf(string path, Path what) => what.Exact ? path : $"{path}/{{**rest}}";

    private static RouteConfig Route(string service, string path, Path what) => new()
    {
        RouteId = MatchOf(path, what),
        ClusterId = service,
        Match = new RouteMatch { Path = MatchOf(path, what) },
        // Without a policy the host's own limit holds.
        TimeoutPolicy = what.Unlimited ? "disable" : null,
        Metadata = what.Anonymous ? new Dictionary<string, string> { [Anonymous] = "true" } : null,
    };
}
