using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace MultiAgent.Models.Catalogue;

/// <summary>
/// Reads <see cref="ModelsOptions"/> from the configuration. The stock binder stops at the first value that it cannot
/// convert and skips keys that it does not know; here every problem is noted, so that the operator sees all at once
/// and a misspelt price is never taken for no price.
/// </summary>
internal sealed class ModelsOptionsReader(IConfiguration configuration) : IConfigureOptions<ModelsOptions>
{
    public void Configure(ModelsOptions options)
    {
        IConfigurationSection section = configuration.GetSection(ModelsOptions.Section);
        List<string> problems = options.ReadProblems;
        foreach (IConfigurationSection provider in section.GetSection("Providers").GetChildren())
            options.Providers[provider.Key] = ReadProvider(new SectionReader(provider, problems));
        foreach (IConfigurationSection model in section.GetSection("Catalogue").GetChildren())
            options.Catalogue[model.Key] = ReadModel(new SectionReader(model, problems));
        foreach (IConfigurationSection alias in section.GetSection("Aliases").GetChildren())
        {
            if (string.IsNullOrWhiteSpace(alias.Value)) problems.Add($"{alias.Path} must name a model; an alias's own name cannot hold a colon.");
            else options.Aliases[alias.Key] = alias.Value.Trim();
        }
        foreach (IConfigurationSection deployment in section.GetSection("Deployments").GetChildren())
            options.Deployments.Add(ReadDeployment(new SectionReader(deployment, problems)));
        options.Timeouts = ReadTimeouts(new SectionReader(section.GetSection("Timeouts"), problems));
        AddShortcut(options, "openai", "OPENAI");
        AddShortcut(options, "anthropic", "ANTHROPIC");
    }

    private void AddShortcut(ModelsOptions options, string name, string prefix)
    {
        string? key = NotBlank(configuration[$"{prefix}_API_KEY"]), url = NotBlank(configuration[$"{prefix}_BASE_URL"]);
        if (key is null && url is null) return;
        if (!options.Providers.TryGetValue(name, out ProviderOptions? provider))
        {
            // ANTHROPIC_BASE_URL alone defines nothing: that provider needs a key.
            if (key is null && name == "anthropic") return;
            options.Providers[name] = provider = new ProviderOptions();
        }
        // The section may use the name for an endpoint of another kind, which this key is not for.
        if (provider.Type is not null && !provider.Type.Equals(name, StringComparison.OrdinalIgnoreCase)) return;
        if (!provider.Keys.Any()) provider.ApiKey = key;
        provider.BaseUrl ??= url;
    }

    private static ProviderOptions ReadProvider(SectionReader reader)
    {
        var provider = new ProviderOptions
        {
            Type = reader.Text("Type"),
            BaseUrl = reader.Text("BaseUrl"),
            ApiKey = reader.Text("ApiKey"),
            ApiKeys = reader.Texts("ApiKeys") ?? [],
            ApiVersion = reader.Text("ApiVersion"),
            Weight = reader.Integer("Weight") ?? 1,
            Timeouts = ReadTimeouts(reader.Child("Timeouts")),
        };
        foreach ((string name, string value) in reader.Pairs("Headers")) provider.Headers[name] = value;
        reader.ReportUnknown();
        return provider;
    }

    private static CatalogueModelOptions ReadModel(SectionReader reader)
    {
        var model = new CatalogueModelOptions
        {
            Id = reader.Text("Id"),
            ContextTokens = reader.Integer("ContextTokens"),
            MaxOutputTokens = reader.Integer("MaxOutputTokens"),
            Capabilities = reader.Texts("Capabilities"),
            Tier = reader.Text("Tier"),
            InputPrice = reader.Decimal("InputPrice"),
            CachedInputPrice = reader.Decimal("CachedInputPrice"),
            CacheWritePrice = reader.Decimal("CacheWritePrice"),
            OutputPrice = reader.Decimal("OutputPrice"),
            Fallbacks = reader.Texts("Fallbacks"),
        };
        reader.ReportUnknown(" A model id with a colon cannot be a key: give the entry any other name and set its Id.");
        return model;
    }

    private static DeploymentOptions ReadDeployment(SectionReader reader)
    {
        var deployment = new DeploymentOptions
        {
            Model = reader.Text("Model"),
            Provider = reader.Text("Provider"),
            UpstreamModel = reader.Text("UpstreamModel"),
            ApiKey = reader.Text("ApiKey"),
            Weight = reader.Integer("Weight"),
        };
        reader.ReportUnknown();
        return deployment;
    }

    private static TimeoutOptions ReadTimeouts(SectionReader reader)
    {
        var timeouts = new TimeoutOptions
        {
            ConnectSeconds = reader.Seconds("ConnectSeconds"),
            FirstByteSeconds = reader.Seconds("FirstByteSeconds"),
            BetweenChunksSeconds = reader.Seconds("BetweenChunksSeconds"),
            TotalSeconds = reader.Seconds("TotalSeconds"),
        };
        reader.ReportUnknown();
        return timeouts;
    }

    private static string? NotBlank(string? value) => string.IsNullOrWhiteSpace(value) ? null : value.Trim();

    private sealed class SectionReader(IConfigurationSection section, List<string> problems)
    {
        private readonly HashSet<string> _known = new(StringComparer.OrdinalIgnoreCase);

        public string? Text(string key)
        {
            _known.Add(key);
            return NotBlank(section[key]);
        }

        public int? Integer(string key) => Text(key) is not { } text ? null
            : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) ? value
            : Malformed<int>(key, "a whole number");

        public decimal? Decimal(string key) => Text(key) is not { } text ? null
            : decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out decimal value) ? value
            : Malformed<decimal>(key, "a number such as 0.25");

        public double? Seconds(string key) => Text(key) is not { } text ? null
            : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value
            : Malformed<double>(key, "a number of seconds such as 30 or 0.5");

        /// <summary>An array, or a comma-separated text, which is handier in an environment variable.</summary>
        public List<string>? Texts(string key)
        {
            if (Text(key) is { } joined) return [.. joined.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
            List<string> values = [.. section.GetSection(key).GetChildren().Select(c => NotBlank(c.Value)).OfType<string>()];
            return values.Count == 0 ? null : values;
        }

        public IEnumerable<(string Name, string Value)> Pairs(string key)
        {
            _known.Add(key);
            return section.GetSection(key).GetChildren().Select(c => (c.Key, c.Value ?? ""));
        }

        public SectionReader Child(string key)
        {
            _known.Add(key);
            return new SectionReader(section.GetSection(key), problems);
        }

        public void ReportUnknown(string hint = "")
        {
            foreach (IConfigurationSection child in section.GetChildren())
                if (!_known.Contains(child.Key))
                    problems.Add($"{child.Path} is not a setting; known here: {string.Join(", ", _known)}.{hint}");
        }

        private T? Malformed<T>(string key, string expected) where T : struct
        {
            // The value itself stays out of the message: a key pasted into the wrong place must not reach a log.
            problems.Add($"{section.Path}:{key} must be {expected}.");
            return null;
        }
    }
}
