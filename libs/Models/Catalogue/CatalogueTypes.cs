using System.Collections.Frozen;

namespace MultiAgent.Models.Catalogue;

/// <summary>Rough class of a model, by which a router or <c>auto</c> chooses. Wire names are the lower-case names.</summary>
public enum ModelTier
{
    Fast,
    Balanced,
    Strong,
}

/// <summary>What a model can take and give.</summary>
[Flags]
public enum ModelCapabilities
{
    None = 0,
    Chat = 1,
    Embeddings = 2,
    Tools = 4,
    Vision = 8,
    JsonSchema = 16,
    Reasoning = 32,
}

/// <summary>Price in US dollars per million tokens.</summary>
/// <param name="CachedInput">For input read from the provider's cache; equals <paramref name="Input"/> where the provider makes no difference.</param>
/// <param name="CacheWrite">For input written to the provider's cache; equals <paramref name="Input"/> where the provider makes no difference.</param>
public sealed record ModelPrice(decimal Input, decimal CachedInput, decimal CacheWrite, decimal Output)
{
    /// <summary>What the usage costs, in US dollars, exact.</summary>
    public decimal Cost(in TokenUsage usage)
    {
        long plain = usage.InputTokens - usage.CachedInputTokens - usage.CacheWriteTokens;
        return (plain * Input + usage.CachedInputTokens * CachedInput + usage.CacheWriteTokens * CacheWrite + usage.OutputTokens * Output) / 1_000_000m;
    }
}

/// <summary>A model that can be called: its facts and the deployments that serve it. Immutable; replaced as a whole on reload.</summary>
public sealed class ModelEntry
{
    /// <summary><c>provider/model</c>, the canonical name.</summary>
    public required string Id { get; init; }

    /// <summary>The provider's name in the configuration, e.g. <c>openai</c>.</summary>
    public required string Provider { get; init; }

    /// <summary>The model's name at the provider.</summary>
    public required string Name { get; init; }

    /// <summary>False for a model that the catalogue does not list and that is reachable as <c>provider/model</c> all the same.</summary>
    public required bool Listed { get; init; }

    /// <summary>Largest input plus output, tokens; null when unknown.</summary>
    public int? ContextTokens { get; init; }

    /// <summary>Largest output, tokens; null when unknown.</summary>
    public int? MaxOutputTokens { get; init; }

    public ModelCapabilities Capabilities { get; init; }

    /// <summary>Null when unknown: the cost of a call is then unknown too, not zero.</summary>
    public ModelPrice? Price { get; init; }

    public ModelTier? Tier { get; init; }

    /// <summary>At least one.</summary>
    public required IReadOnlyList<Deployment> Deployments { get; init; }

    /// <summary>Ids of models to try, in order, when this one cannot answer.</summary>
    public IReadOnlyList<string> Fallbacks { get; init; } = [];
}

/// <summary>One way to reach a model: an endpoint and a key. Has its own circuit breaker and cooldown.</summary>
public sealed class Deployment
{
    /// <summary>Unique and stable, e.g. <c>openai/gpt-5-mini#0</c>; for logs and metrics, holds no secret.</summary>
    public required string Id { get; init; }

    /// <summary>False when the model is not in the catalogue: its name is a client's, and there is no end of them.</summary>
    public bool Listed { get; init; } = true;

    /// <summary>Name of the provider in the configuration.</summary>
    public required string Provider { get; init; }

    /// <summary>Type of the provider: which <see cref="Providers.IModelProvider"/> serves it.</summary>
    public required string ProviderType { get; init; }

    /// <summary>The model's name as this endpoint knows it, put into the request.</summary>
    public required string UpstreamModel { get; init; }

    /// <summary>Base URL without trailing slash, e.g. <c>https://host/v1</c>; null for <c>local</c>.</summary>
    public Uri? BaseUrl { get; init; }

    public string? ApiKey { get; init; }

    /// <summary>Extra headers and settings of the provider's configuration (<c>Headers</c>, <c>ApiVersion</c>).</summary>
    public FrozenDictionary<string, string> Headers { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Azure OpenAI's <c>api-version</c> or Anthropic's <c>anthropic-version</c>; null for the default.</summary>
    public string? ApiVersion { get; init; }

    /// <summary>Share of the traffic relative to the model's other deployments; at least 1.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>The model's largest output, for providers whose dialect demands a limit; null when unknown.</summary>
    public int? MaxOutputTokens { get; init; }

    /// <summary>What the model can do, for providers that must not ask more of it.</summary>
    public ModelCapabilities Capabilities { get; init; }

    /// <summary>Limits of time for an attempt; includes the total.</summary>
    public required DeploymentTimeouts Timeouts { get; init; }

    /// <summary>A place for what the serving <see cref="Providers.IModelProvider"/> computes once per deployment.</summary>
    internal object? ProviderState;

    /// <summary>The dispatcher's record of how the deployment fares.</summary>
    internal object? Health;
}

/// <summary>Limits of time; see the configuration reference for the defaults.</summary>
public sealed record DeploymentTimeouts(Upstream.UpstreamTimeouts Attempt, TimeSpan Total);
