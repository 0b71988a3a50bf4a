using System.Collections.Frozen;

namespace MultiAgent.Models.Catalogue;

/// <summary>Makes a <see cref="ModelCatalogue"/> from valid options.</summary>
internal sealed class CatalogueBuilder
{
    // A model that nobody described is not known to lack anything.
    private const ModelCapabilities Unknown =
        ModelCapabilities.Chat | ModelCapabilities.Embeddings | ModelCapabilities.Tools | ModelCapabilities.Vision | ModelCapabilities.JsonSchema;

    private readonly ModelsOptions _options;
    private readonly Dictionary<string, ProviderOptions> _providers = new(StringComparer.OrdinalIgnoreCase) { [CatalogueNames.Local] = new() };
    private readonly Dictionary<string, ModelFacts> _facts;
    private readonly Dictionary<string, ModelEntry> _entries = new(StringComparer.OrdinalIgnoreCase);

    private CatalogueBuilder(ModelsOptions options)
    {
        _options = options;
        foreach ((string name, ProviderOptions provider) in options.Providers) _providers[name.ToLowerInvariant()] = provider;
        _facts = new(BuiltInCatalogue.Default.Models, StringComparer.OrdinalIgnoreCase);
        foreach ((string key, CatalogueModelOptions model) in options.Catalogue)
        {
            string id = Canonical(model.Id ?? key);
            _facts[id] = _facts.GetValueOrDefault(id, new ModelFacts()).With(model);
        }
        foreach (DeploymentOptions deployment in options.Deployments) _facts.TryAdd(Canonical(deployment.Model!), new ModelFacts());
        if (_providers.Count == 1 && _facts.TryGetValue("local/assistant", out ModelFacts? local) && local.Tier is null)
            _facts["local/assistant"] = local with { Tier = ModelTier.Balanced };
    }

    public static ModelCatalogue Build(ModelsOptions options) => new CatalogueBuilder(options).Build();

    private ModelCatalogue Build()
    {
        foreach ((string id, ModelFacts facts) in _facts)
            if (Entry(id, facts, listed: true) is { } entry) _entries[id] = entry;

        var byName = new Dictionary<string, ModelEntry>(StringComparer.OrdinalIgnoreCase);
        foreach (IGrouping<string, ModelEntry> bare in _entries.Values.GroupBy(e => e.Name, StringComparer.OrdinalIgnoreCase))
            if (bare.Count() == 1) byName[bare.Key] = bare.First();
        foreach ((string id, ModelEntry entry) in _entries) byName[id] = entry;

        List<ModelListing> listings = [.. _entries.Values.Select(e => new ModelListing(e.Id, e))];
        foreach (string alias in _options.Aliases.Keys)
        {
            if (Target(alias) is not { } entry) continue;
            byName[alias] = entry;
            listings.RemoveAll(l => l.Id.Equals(alias, StringComparison.OrdinalIgnoreCase));
            listings.Add(new ModelListing(alias, entry));
        }
        listings.Sort((a, b) => string.CompareOrdinal(a.Id, b.Id));

        bool onlyLocal = _providers.Count == 1;
        bool anyTier = _entries.Values.Any(e => e.Tier is not null && (onlyLocal || e.Provider != CatalogueNames.Local));
        FrozenDictionary<ModelTier, ModelEntry[]> candidates = _entries.Values
            .Where(e => (e.Tier is not null || !anyTier) && e.Capabilities.HasFlag(ModelCapabilities.Chat) && (onlyLocal || e.Provider != CatalogueNames.Local))
            // Where no model has a tier, all are taken for balanced ones, so that auto finds something.
            .GroupBy(e => e.Tier ?? ModelTier.Balanced)
            .ToFrozenDictionary(g => g.Key, g => g.OrderBy(TypicalPrice).ThenBy(e => e.Id, StringComparer.Ordinal).ToArray());

        return new ModelCatalogue(byName.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase), listings, candidates, Unlisted, [.. _providers.Keys]);
    }

    /// <summary>The order of <c>auto</c>: three parts input to one part output, which is about what chats use; unknown prices last.</summary>
    private static decimal TypicalPrice(ModelEntry entry) => entry.Price is { } price ? (3 * price.Input + price.Output) / 4 : decimal.MaxValue;

    private ModelEntry? Unlisted(string provider, string model)
    {
        if (provider == CatalogueNames.Local || !_providers.TryGetValue(provider, out ProviderOptions? settings)) return null;
        ModelCapabilities capabilities = ProviderTypes.TypeOf(provider, settings) == ProviderTypes.Anthropic ? Unknown & ~ModelCapabilities.Embeddings : Unknown;
        return Entry($"{provider}/{model}", new ModelFacts { Capabilities = capabilities }, listed: false);
    }

    /// <summary>Follows aliases; the validator has excluded circles.</summary>
    private ModelEntry? Target(string name)
    {
        while (_options.Aliases.TryGetValue(name, out string? next)) name = next;
        if (_entries.TryGetValue(name, out ModelEntry? entry)) return entry;
        if (CatalogueNames.TrySplit(name, out string provider, out string model)) return _facts.ContainsKey(name) ? null : Unlisted(provider, model);
        List<ModelEntry> bare = [.. _entries.Values.Where(e => e.Name.Equals(name, StringComparison.OrdinalIgnoreCase))];
        return bare.Count == 1 ? bare[0] : null;
    }

    private ModelEntry? Entry(string id, ModelFacts facts, bool listed)
    {
        CatalogueNames.TrySplit(id, out string provider, out string model);
        List<Deployment> deployments = Deployments(id, provider, model, facts, listed);
        return deployments.Count == 0 ? null : new ModelEntry
        {
            Id = id,
            Provider = provider,
            Name = model,
            Listed = listed,
            ContextTokens = facts.ContextTokens,
            MaxOutputTokens = facts.MaxOutputTokens,
            Capabilities = facts.Capabilities,
            Price = facts.Price,
            Tier = facts.Tier,
            Deployments = deployments,
            Fallbacks = [.. facts.Fallbacks.Where(CanServe)],
        };
    }

    /// <summary>Fallbacks whose provider is not configured here are dropped: one configuration may serve several installations.</summary>
    private bool CanServe(string name)
    {
        while (_options.Aliases.TryGetValue(name, out string? next)) name = next;
        if (_options.Deployments.Exists(d => Canonical(d.Model!).Equals(name, StringComparison.OrdinalIgnoreCase))) return true;
        return CatalogueNames.TrySplit(name, out string provider, out _)
            ? _providers.ContainsKey(provider)
            : _facts.Keys.Any(id => CatalogueNames.TrySplit(id, out string owner, out string model) && model.Equals(name, StringComparison.OrdinalIgnoreCase) && _providers.ContainsKey(owner));
    }

    private List<Deployment> Deployments(string id, string provider, string model, ModelFacts facts, bool listed)
    {
        var deployments = new List<Deployment>();
        List<DeploymentOptions> named = _options.Deployments.FindAll(d => Canonical(d.Model!).Equals(id, StringComparison.OrdinalIgnoreCase));
        foreach (DeploymentOptions deployment in named)
            Add(deployment.Provider!.ToLowerInvariant(), deployment.UpstreamModel ?? model, deployment.ApiKey, deployment.Weight);
        if (named.Count == 0 && _providers.ContainsKey(provider)) Add(provider, model, null, null);
        return deployments;

        void Add(string name, string upstreamModel, string? key, int? weight)
        {
            ProviderOptions settings = _providers[name];
            string type = ProviderTypes.TypeOf(name, settings);
            Uri? url = null;
            if (type != ProviderTypes.Local) ProviderTypes.TryParseBaseUrl(ProviderTypes.BaseUrlOf(name, settings)!, out url);
            string?[] keys = key is not null ? [key.Trim()] : [.. settings.Keys];
            foreach (string? each in keys.Length == 0 ? [null] : keys)
            {
                deployments.Add(new Deployment
                {
                    Id = $"{id}#{deployments.Count}",
                    Listed = listed,
                    Provider = name,
                    ProviderType = type,
                    UpstreamModel = upstreamModel,
                    BaseUrl = url,
                    ApiKey = each,
                    ApiVersion = settings.ApiVersion,
                    Headers = settings.Headers.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase),
                    Weight = weight ?? settings.Weight,
                    MaxOutputTokens = facts.MaxOutputTokens,
                    Capabilities = facts.Capabilities,
                    Timeouts = Timeouts(settings.Timeouts),
                });
            }
        }
    }

    private DeploymentTimeouts Timeouts(TimeoutOptions own)
    {
        TimeoutOptions general = _options.Timeouts;
        TimeSpan total = TimeSpan.FromSeconds(own.TotalSeconds ?? general.TotalSeconds ?? 600);
        return new DeploymentTimeouts(
            new Upstream.UpstreamTimeouts(
                TimeSpan.FromSeconds(own.ConnectSeconds ?? general.ConnectSeconds ?? 10),
                TimeSpan.FromSeconds(own.FirstByteSeconds ?? general.FirstByteSeconds ?? 300),
                TimeSpan.FromSeconds(own.BetweenChunksSeconds ?? general.BetweenChunksSeconds ?? 120)) { Total = total },
            total);
    }

    private static string Canonical(string id)
    {
        CatalogueNames.TrySplit(id, out string provider, out string model);
        return $"{provider}/{model}";
    }
}
