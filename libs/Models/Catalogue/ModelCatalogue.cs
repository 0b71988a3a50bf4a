using System.Collections.Frozen;

namespace MultiAgent.Models.Catalogue;

/// <summary>
/// The models that can be called, as they were when the configuration was last read. Immutable but for a bounded
/// memory of unlisted models; take <see cref="ModelCatalogueSource.Current"/> once per request.
/// </summary>
public sealed class ModelCatalogue
{
    /// <summary>Unlisted models that are remembered. Their names come from clients, so there is no end of them.</summary>
    internal const int UnlistedLimit = 1024;

    private readonly FrozenDictionary<string, ModelEntry> _byName;
    private readonly FrozenDictionary<ModelTier, ModelEntry[]> _candidates;
    private readonly Func<string, string, ModelEntry?> _unlisted;
    private readonly UnlistedModels _remembered = new(UnlistedLimit);
    private readonly IReadOnlyList<ModelListing> _listings;
    private readonly IReadOnlyList<string> _providers;

    internal ModelCatalogue(
        FrozenDictionary<string, ModelEntry> byName,
        IReadOnlyList<ModelListing> listings,
        FrozenDictionary<ModelTier, ModelEntry[]> candidates,
        Func<string, string, ModelEntry?> unlisted,
        IReadOnlyList<string> providers)
    {
        _byName = byName;
        _listings = listings;
        _candidates = candidates;
        _unlisted = unlisted;
        _providers = providers;
    }

    /// <summary>
    /// The model of a name from a request: an alias, a listed id, <c>provider/model</c> of a configured provider, or the
    /// bare name of a model that exactly one provider lists. Null when the name leads to nothing that can be called.
    /// Does not know <c>auto</c>; see <see cref="AutoCandidates"/>.
    /// </summary>
    /// <param name="requestedName">Untrusted.</param>
    public ModelEntry? Resolve(string requestedName)
    {
        if (_byName.TryGetValue(requestedName, out ModelEntry? entry)) return entry;
        if (_remembered.TryGet(requestedName, out entry)) return entry;
        if (requestedName.Length > CatalogueNames.MaxLength || requestedName.AsSpan().IndexOfAnyInRange('\0', ' ') >= 0) return null;
        if (!CatalogueNames.TrySplit(requestedName, out string provider, out string model)) return null;
        entry = _unlisted(provider, model);
        return entry is null ? null : _remembered.GetOrAdd(requestedName, entry);
    }

    /// <summary>
    /// Chat models for <c>auto</c>, cheapest first: those of the tier, or of the nearest tier that has any. Never the
    /// local model when another provider is configured.
    /// </summary>
    public IReadOnlyList<ModelEntry> AutoCandidates(ModelTier tier)
    {
        ReadOnlySpan<ModelTier> order = tier switch
        {
            ModelTier.Fast => [ModelTier.Fast, ModelTier.Balanced, ModelTier.Strong],
            ModelTier.Strong => [ModelTier.Strong, ModelTier.Balanced, ModelTier.Fast],
            _ => [ModelTier.Balanced, ModelTier.Strong, ModelTier.Fast],
        };
        foreach (ModelTier next in order)
            if (_candidates.TryGetValue(next, out ModelEntry[]? found)) return found;
        return [];
    }

    /// <summary>What <c>GET /v1/models</c> shows: every listed model that a provider serves, and every alias that leads to one.</summary>
    public IReadOnlyList<ModelListing> List() => _listings;

    /// <summary>Names of the configured providers, with or without a listed model.</summary>
    public IReadOnlyList<string> Providers => _providers;

    /// <summary>Models outside the catalogue that clients have named lately.</summary>
    internal IEnumerable<ModelEntry> Unlisted => _remembered.All;
}

/// <summary>A line of the list of models.</summary>
/// <param name="Id">The name to request: a model id or an alias.</param>
/// <param name="Entry">The model that it leads to.</param>
public sealed record ModelListing(string Id, ModelEntry Entry);
