using Polly;
using Polly.CircuitBreaker;

namespace MultiAgent.Hosting.Services.Calls;

/// <summary>One address of a service, and how it does.</summary>
internal sealed class ServiceAddress
{
    private readonly CircuitBreakerStateProvider _circuit = new();
    private volatile bool _ready = true;

    public ServiceAddress(Uri url, TimeProvider time)
    {
        Url = url;
        Breaker = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time }.AddCircuitBreaker(new CircuitBreakerStrategyOptions<HttpResponseMessage>
        {
            // What the service answers, even an error, shows that it is there. A client that leaves says nothing about it.
            ShouldHandle = static args => new(args.Outcome.Exception is HttpRequestException or OperationCanceledException { InnerException: TimeoutException }),
            FailureRatio = 0.5,
            MinimumThroughput = 4,
            SamplingDuration = TimeSpan.FromSeconds(5),
            BreakDuration = TimeSpan.FromSeconds(1),
            StateProvider = _circuit,
        }).Build();
    }

    public Uri Url { get; }

    public ResiliencePipeline<HttpResponseMessage> Breaker { get; }

    /// <summary>What the last look at <c>/health/ready</c> said; true before the first.</summary>
    public bool IsReady { get => _ready; set => _ready = value; }

    public bool IsUsable => _ready && _circuit.CircuitState is CircuitState.Closed or CircuitState.HalfOpen;
}

/// <summary>The addresses of a service, taken in turn. Those that are not ready are passed over as long as there is another.</summary>
internal sealed class ServiceAddresses(RemoteService service, TimeProvider time)
{
    private readonly ServiceAddress[] _all = [.. service.Urls.Select(u => new ServiceAddress(u, time))];
    private uint _next;

    public IReadOnlyList<ServiceAddress> All => _all;

    /// <summary>The next address to try, of those that were not tried; null when all were.</summary>
    public ServiceAddress? Next(IReadOnlyCollection<ServiceAddress> tried)
    {
        uint start = Interlocked.Increment(ref _next);
        ServiceAddress? second = null;
        for (uint i = 0; i < _all.Length; i++)
        {
            ServiceAddress address = _all[(start + i) % (uint)_all.Length];
            if (tried.Contains(address)) continue;
            if (address.IsUsable) return address;
            second ??= address;
        }
        return second;
    }
}
