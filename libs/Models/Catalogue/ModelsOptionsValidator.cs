using Microsoft.Extensions.Options;

namespace MultiAgent.Models.Catalogue;

/// <summary>Finds every problem of the options at once, each with the setting's name and what it should be.</summary>
internal sealed class ModelsOptionsValidator : IValidateOptions<ModelsOptions>
{
    private const string Root = ModelsOptions.Section;

    public ValidateOptionsResult Validate(string? name, ModelsOptions options)
    {
        var problems = new List<string>(options.ReadProblems);
        foreach ((string provider, ProviderOptions settings) in options.Providers) CheckProvider(provider, settings, problems);
        CheckTimeouts($"{Root}:Timeouts", options.Timeouts, problems);

        var known = new HashSet<string>(BuiltInCatalogue.Default.Models.Keys, StringComparer.OrdinalIgnoreCase);
        foreach ((string key, CatalogueModelOptions model) in options.Catalogue) known.Add(model.Id ?? key);
        foreach (DeploymentOptions deployment in options.Deployments)
            if (deployment.Model is not null) known.Add(deployment.Model);

        foreach ((string key, CatalogueModelOptions model) in options.Catalogue) CheckModel(key, model, options, known, problems);
        for (int i = 0; i < options.Deployments.Count; i++) CheckDeployment(i, options.Deployments[i], options, problems);
        foreach (string alias in options.Aliases.Keys) CheckAlias(alias, options, known, problems);
        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    private static void CheckProvider(string name, ProviderOptions provider, List<string> problems)
    {
        string path = $"{Root}:Providers:{name}";
        string type = ProviderTypes.TypeOf(name, provider);
        if (name.Contains('/') || CatalogueNames.IsReserved(name)) problems.Add($"{path}: a provider's name must hold no slash and not be auto, agent or workflow; rename it.");
        if (!ProviderTypes.IsKnown(type)) problems.Add($"{path}:Type '{provider.Type}' is unknown; use openai, azure-openai, anthropic or local.");
        if (name.Equals(CatalogueNames.Local, StringComparison.OrdinalIgnoreCase) != (type == ProviderTypes.Local))
            problems.Add($"{path}: the name local and the type local belong together; rename the provider or change its Type.");
        if (type != ProviderTypes.Local)
        {
            if (ProviderTypes.BaseUrlOf(name, provider) is not { } url)
                problems.Add($"{path}:BaseUrl is missing; set it to the endpoint's URL, e.g. https://host/v1.");
            else if (!ProviderTypes.TryParseBaseUrl(url, out _))
                problems.Add($"{path}:BaseUrl must be an absolute http or https URL without query, user or fragment, e.g. https://host/v1.");
        }
        string[] keys = [.. provider.Keys];
        if (keys.Length == 0 && type is ProviderTypes.Anthropic or ProviderTypes.AzureOpenAi)
            problems.Add($"{path}:ApiKey is missing; providers of type {type} need one{(type == ProviderTypes.Anthropic ? " (or set ANTHROPIC_API_KEY)" : "")}.");
        foreach (string key in keys)
            if (!IsHeaderValue(key)) problems.Add($"{path}:ApiKey holds a character that cannot be in a header; check for line breaks and non-ASCII characters.");
        foreach ((string header, string value) in provider.Headers)
            if (header.Length == 0 || header.AsSpan().IndexOfAnyExcept(s_tokenCharacters) >= 0 || !IsHeaderValue(value))
                problems.Add($"{path}:Headers:{header} is not a valid header; names are letters, digits and dashes, values printable ASCII.");
        CheckWeight($"{path}:Weight", provider.Weight, problems);
        CheckTimeouts($"{path}:Timeouts", provider.Timeouts, problems);
    }

    private static void CheckModel(string key, CatalogueModelOptions model, ModelsOptions options, HashSet<string> known, List<string> problems)
    {
        string path = $"{Root}:Catalogue:{key}";
        string id = model.Id ?? key;
        if (!IsModelId(id)) problems.Add($"{path}: '{id}' is not a model id; write provider/model.");
        if (model.ContextTokens < 1) problems.Add($"{path}:ContextTokens must be 1 or more.");
        if (model.MaxOutputTokens < 1) problems.Add($"{path}:MaxOutputTokens must be 1 or more.");
        foreach (string word in model.Capabilities ?? [])
            if (CatalogueNames.Capability(word) is null) problems.Add($"{path}:Capabilities: '{word}' is unknown; use {CatalogueNames.CapabilityWords}.");
        if (model.Tier is { } tier && CatalogueNames.Tier(tier) is null) problems.Add($"{path}:Tier '{tier}' is unknown; use {CatalogueNames.TierWords}.");
        CheckPrice("InputPrice", model.InputPrice);
        CheckPrice("CachedInputPrice", model.CachedInputPrice);
        CheckPrice("CacheWritePrice", model.CacheWritePrice);
        CheckPrice("OutputPrice", model.OutputPrice);
        if (!BuiltInCatalogue.Default.Models.ContainsKey(id))
        {
            bool embeddingsOnly = model.Capabilities is { Count: > 0 } words && words.TrueForAll(w => w.Equals("embeddings", StringComparison.OrdinalIgnoreCase));
            if (model.InputPrice is null && (model.OutputPrice ?? model.CachedInputPrice ?? model.CacheWritePrice) is not null)
                problems.Add($"{path}:InputPrice is missing next to the other prices; set it (0 if input is free).");
            if (model.InputPrice is not null && model.OutputPrice is null && !embeddingsOnly)
                problems.Add($"{path}:OutputPrice is missing next to InputPrice; set it (0 if output is free).");
        }
        foreach (string fallback in model.Fallbacks ?? [])
            if (!CanName(fallback, options, known)) problems.Add($"{path}:Fallbacks: '{fallback}' is no known model; list it under {Root}:Catalogue or configure its provider.");

        void CheckPrice(string setting, decimal? price)
        {
            if (price < 0) problems.Add($"{path}:{setting} must not be negative; it is US dollars per million tokens.");
        }
    }

    private static void CheckDeployment(int index, DeploymentOptions deployment, ModelsOptions options, List<string> problems)
    {
        string path = $"{Root}:Deployments:{index}";
        if (deployment.Model is null || !IsModelId(deployment.Model)) problems.Add($"{path}:Model must be the id of a model, provider/model.");
        if (deployment.Provider is null) problems.Add($"{path}:Provider is missing; name one of {Root}:Providers.");
        else if (!options.Providers.ContainsKey(deployment.Provider)) problems.Add($"{path}:Provider '{deployment.Provider}' is not configured; add it to {Root}:Providers or name one that is there.");
        if (deployment.ApiKey is { } key && !IsHeaderValue(key.Trim())) problems.Add($"{path}:ApiKey holds a character that cannot be in a header; check for line breaks and non-ASCII characters.");
        if (deployment.Weight is { } weight) CheckWeight($"{path}:Weight", weight, problems);
    }

    private static void CheckAlias(string alias, ModelsOptions options, HashSet<string> known, List<string> problems)
    {
        string path = $"{Root}:Aliases:{alias}";
        if (CatalogueNames.IsReserved(alias.Split('/')[0])) problems.Add($"{path}: auto, agent and workflow have a meaning of their own; rename the alias.");
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { alias };
        string target = options.Aliases[alias];
        while (options.Aliases.TryGetValue(target, out string? next))
        {
            if (!seen.Add(target))
            {
                problems.Add($"{path} goes round in a circle; point one of {string.Join(", ", seen)} at a model.");
                return;
            }
            target = next;
        }
        if (!CanName(target, options, known)) problems.Add($"{path}: '{target}' is no known model; list it under {Root}:Catalogue or configure its provider.");
    }

    /// <summary>Whether a name can lead to a model: an alias, a listed id, any model of a configured provider, or a listed bare name.</summary>
    private static bool CanName(string name, ModelsOptions options, HashSet<string> known)
    {
        if (options.Aliases.ContainsKey(name) || known.Contains(name)) return true;
        if (CatalogueNames.TrySplit(name, out string provider, out _) && options.Providers.ContainsKey(provider) && provider != CatalogueNames.Local) return true;
        return known.Any(id => CatalogueNames.TrySplit(id, out _, out string model) && model.Equals(name, StringComparison.OrdinalIgnoreCase));
    }

    private static void CheckWeight(string path, int weight, List<string> problems)
    {
        if (weight is < 1 or > 1000) problems.Add($"{path} must be from 1 to 1000; to take a deployment out, remove it.");
    }

    private static void CheckTimeouts(string path, TimeoutOptions timeouts, List<string> problems)
    {
        Check("ConnectSeconds", timeouts.ConnectSeconds);
        Check("FirstByteSeconds", timeouts.FirstByteSeconds);
        Check("BetweenChunksSeconds", timeouts.BetweenChunksSeconds);
        Check("TotalSeconds", timeouts.TotalSeconds);

        void Check(string setting, double? seconds)
        {
            if (seconds is not null and not (> 0 and <= 3600)) problems.Add($"{path}:{setting} must be above 0 and at most 3600 seconds.");
        }
    }

    private static readonly System.Buffers.SearchValues<char> s_tokenCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    private static bool IsModelId(string id) =>
        id.Length <= CatalogueNames.MaxLength && CatalogueNames.TrySplit(id, out string provider, out _) && !CatalogueNames.IsReserved(provider);

    private static bool IsHeaderValue(string value) => !value.AsSpan().ContainsAnyExceptInRange(' ', '~');
}
