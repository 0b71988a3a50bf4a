using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Dispatch;

/// <summary>How a provider fares, from the calls that were made: nobody is asked for it.</summary>
/// <param name="Provider">Its name in the configuration.</param>
/// <param name="Deployments">Deployments of listed models that have been used.</param>
/// <param name="Unavailable">Ids of those among them whose circuit is open or half open, or that pause at the provider's wish.</param>
/// <param name="LastLatency">Time to the first byte of the latest answer; null before the first.</param>
public sealed record ProviderState(string Provider, int Deployments, IReadOnlyList<string> Unavailable, TimeSpan? LastLatency);

/// <summary>The state of every provider that the catalogue lists a model of.</summary>
public sealed class ProviderStates
{
    private readonly ModelCatalogueSource _catalogue;
    private readonly DeploymentHealthRegistry _health;

    internal ProviderStates(ModelCatalogueSource catalogue, DeploymentHealthRegistry health) => (_catalogue, _health) = (catalogue, health);

    public IReadOnlyList<ProviderState> List()
    {
        ILookup<string, DeploymentHealth> used = _health.All.ToLookup(h => h.Provider, StringComparer.OrdinalIgnoreCase);
        IEnumerable<string> listed = _catalogue.Current.List().SelectMany(l => l.Entry.Deployments).Select(d => d.Provider);
        return
        [
            .. listed.Concat(used.Select(g => g.Key)).Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal).Select(provider => new ProviderState(
                provider,
                used[provider].Count(),
                [.. used[provider].Where(h => h.State != CircuitState.Closed || h.BlockedFor > TimeSpan.Zero).Select(h => h.DeploymentId).Order(StringComparer.Ordinal)],
                used[provider].Max(h => h.LastLatency))),
        ];
    }
}
