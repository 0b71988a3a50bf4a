using MultiAgent.Hosting.Health;
using MultiAgent.Models.Dispatch;

namespace MultiAgent.Gateway.Providers;

/// <summary>
/// Model providers in <c>/health</c>. They are judged by the calls that clients make, never called for it, and one that fails
/// leaves the instance ready: other providers still answer.
/// </summary>
internal sealed class ProviderProbes(ProviderStates states) : IHealthProbeSource
{
    public IEnumerable<IHealthProbe> Probes => states.List().Select(state => new Probe(state));

    private sealed class Probe(ProviderState state) : IHealthProbe
    {
        private const int MaxNamed = 5;

        public string Service => "api-gateway";

        public string Name => $"provider:{state.Provider}";

        public ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
        {
            ProbeResult result = state.Unavailable.Count > 0 ? ProbeResult.Degraded($"out of service: {Names()}")
                : ProbeResult.Ok(state.LastLatency is null ? "not called yet" : "latency to the first byte of the last answer");
            return new(result with { Latency = state.LastLatency ?? TimeSpan.Zero });
        }

        private string Names() => string.Join(", ", state.Unavailable.Take(MaxNamed)) + (state.Unavailable.Count > MaxNamed ? $" and {state.Unavailable.Count - MaxNamed} more" : "");
    }
}
