using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Dispatch;

/// <summary>How a provider fares, from the calls that were made: nobody is asked for it.</summary>
/// <param name="Provider">Its name in the configuration.</param>
/// <param name="Deployments">Its deployments that have been used.</param>
/// <param name="Unavailable">
/// Ids of those among them whose circuit is open or half open, or that pause at the provider's wish. Those of models outside the catalogue are
/// one <c>provider/unlisted</c>: their names are the clients'.
/// </param>
/// <param name="LastLatency">Time to the first byte of the latest answer; null before the first.</param>
public sealed record ProviderState(string Provider, int Deployments, IReadOnlyList<string> Unavailable, TimeSpan? LastLatency);

/// <summary>The state of every configured provider.</summary>
public sealed class ProviderStates
{
    private readonly ModelCatalogueSource _catalogue;
    private readonly DeploymentHealthRegistry _health;

    internal ProviderStates(ModelCatalogueSource catalogue, DeploymentHealthRegistry health) => (_catalogue, _health) = (catalogue, health);

    public IReadOnlyList<ProviderState> List()
    {
        ModelCatalogue catalogue = _catalogue.Current;
        ILookup<string, (DeploymentHealth Health, string Name)> used = _health.All.Select(h => (Health: h, Name: h.DeploymentId))
            .Concat(catalogue.Unlisted.SelectMany(m => m.Deployments).Select(d => d.Health).OfType<DeploymentHealth>().Select(h => (Health: h, Name: $"{h.Provider}/unlisted")))
            .ToLookup(u => u.Health.Provider, StringComparer.OrdinalIgnoreCase);
        return
        [
            .. catalogue.Providers.Concat(used.Select(g => g.Key)).Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal).Select(provider => new ProviderState(
                provider,
                used[provider].Count(),
                [.. used[provider].Where(u => u.Health.State != CircuitState.Closed || u.Health.BlockedFor > TimeSpan.Zero).Select(u => u.Name).Distinct().Order(StringComparer.Ordinal)],
                used[provider].Max(u => u.Health.LastLatency))),
        ];
    }
}
