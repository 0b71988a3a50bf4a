namespace MultiAgent.Models.Catalogue;

/// <summary>
/// Which models there are and who serves them; bound from the section <c>Models</c>. The variables
/// <c>OPENAI_API_KEY</c>, <c>OPENAI_BASE_URL</c>, <c>ANTHROPIC_API_KEY</c> and <c>ANTHROPIC_BASE_URL</c> fill in what
/// the section leaves out of the providers <c>openai</c> and <c>anthropic</c>.
/// </summary>
public sealed class ModelsOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Models";

    /// <summary>
    /// Endpoints by name; the name is the part of a model id before the first slash and is read in lower case.
    /// Default: none beside the built-in <c>local</c>.
    /// </summary>
    public Dictionary<string, ProviderOptions> Providers { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Models by id (<c>provider/model</c>), added to the built-in catalogue or overriding its members. Default: none.</summary>
    public Dictionary<string, CatalogueModelOptions> Catalogue { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Further names for models: alias → model id or another alias. Default: none.</summary>
    public Dictionary<string, string> Aliases { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>
    /// Which endpoints and keys serve a model. A model named here is served by exactly the entries that name it; any
    /// other model is served by its own provider, once per key. Default: none.
    /// </summary>
    public List<DeploymentOptions> Deployments { get; } = [];

    /// <summary>Limits of time for all providers that set none themselves.</summary>
    public TimeoutOptions Timeouts { get; set; } = new();

    /// <summary>What could not be read from the configuration; the validator reports it with the rest.</summary>
    internal List<string> ReadProblems { get; } = [];
}

/// <summary>One endpoint that serves models.</summary>
public sealed class ProviderOptions
{
    /// <summary>
    /// <c>openai</c> (any OpenAI-compatible endpoint), <c>azure-openai</c>, <c>anthropic</c> or <c>local</c>. Default:
    /// the provider's name if that is one of these, else <c>openai</c>.
    /// </summary>
    public string? Type { get; set; }

    /// <summary>
    /// Absolute http or https URL without query. Default: <c>https://api.openai.com/v1</c> for the provider named
    /// <c>openai</c>, <c>https://api.anthropic.com</c> for type <c>anthropic</c>; required otherwise.
    /// </summary>
    public string? BaseUrl { get; set; }

    /// <summary>The key. Required for <c>anthropic</c> and <c>azure-openai</c>; <c>openai</c> may go without (local servers).</summary>
    public string? ApiKey { get; set; }

    /// <summary>Several keys: each becomes a deployment of its own with its own circuit breaker. Default: none.</summary>
    public List<string> ApiKeys { get; set; } = [];

    /// <summary>Azure OpenAI's <c>api-version</c> or Anthropic's <c>anthropic-version</c>. Default: chosen by the provider type.</summary>
    public string? ApiVersion { get; set; }

    /// <summary>Headers sent with every request, e.g. <c>OpenAI-Organization</c>. Default: none.</summary>
    public Dictionary<string, string> Headers { get; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Share of the traffic of each of the provider's deployments relative to others of the same model. Default 1; 1 to 1000.</summary>
    public int Weight { get; set; } = 1;

    /// <summary>Limits of time of this provider; a member left out comes from <see cref="ModelsOptions.Timeouts"/>.</summary>
    public TimeoutOptions Timeouts { get; set; } = new();

    /// <summary>All keys, <see cref="ApiKey"/> first.</summary>
    internal IEnumerable<string> Keys =>
        (string.IsNullOrWhiteSpace(ApiKey) ? ApiKeys : ApiKeys.Prepend(ApiKey)).Select(k => k.Trim()).Distinct();
}

/// <summary>Facts about a model. On a model of the built-in catalogue, members left out keep their built-in value.</summary>
public sealed class CatalogueModelOptions
{
    /// <summary>The model's id, for ids that cannot be configuration keys because they hold a colon. Default: the key.</summary>
    public string? Id { get; set; }

    /// <summary>Largest input plus output in tokens, 1 or more. Default: unknown.</summary>
    public int? ContextTokens { get; set; }

    /// <summary>Largest output in tokens, 1 or more. Default: unknown.</summary>
    public int? MaxOutputTokens { get; set; }

    /// <summary>
    /// Any of <c>chat</c>, <c>embeddings</c>, <c>tools</c>, <c>vision</c>, <c>json_schema</c>, <c>reasoning</c>.
    /// Default for a new model: chat and tools.
    /// </summary>
    public List<string>? Capabilities { get; set; }

    /// <summary><c>fast</c>, <c>balanced</c> or <c>strong</c>. Default: none, <c>auto</c> does not choose the model.</summary>
    public string? Tier { get; set; }

    /// <summary>US dollars per million input tokens, 0 or more. Default: unknown, which is not the same as free.</summary>
    public decimal? InputPrice { get; set; }

    /// <summary>US dollars per million tokens read from the provider's cache, 0 or more. Default: the input price.</summary>
    public decimal? CachedInputPrice { get; set; }

    /// <summary>US dollars per million tokens written to the provider's cache, 0 or more. Default: the input price.</summary>
    public decimal? CacheWritePrice { get; set; }

    /// <summary>US dollars per million output tokens, 0 or more. Goes with <see cref="InputPrice"/>; may be left out for embeddings.</summary>
    public decimal? OutputPrice { get; set; }

    /// <summary>Models to try in order when this one cannot answer. Default: none.</summary>
    public List<string>? Fallbacks { get; set; }
}

/// <summary>One endpoint and key that serves one model.</summary>
public sealed class DeploymentOptions
{
    /// <summary>Id of the model, <c>provider/model</c>. Required.</summary>
    public string? Model { get; set; }

    /// <summary>Name of the provider that serves it. Required.</summary>
    public string? Provider { get; set; }

    /// <summary>The model's name at this endpoint. Default: the part of the id after the first slash.</summary>
    public string? UpstreamModel { get; set; }

    /// <summary>The key to use. Default: the provider's keys, one deployment for each.</summary>
    public string? ApiKey { get; set; }

    /// <summary>Share of the traffic relative to the model's other deployments. Default: the provider's weight; 1 to 1000.</summary>
    public int? Weight { get; set; }
}

/// <summary>Limits of time, in seconds (fractions allowed), above 0 and at most 3600.</summary>
public sealed class TimeoutOptions
{
    /// <summary>To an open connection, TLS included. Default 10.</summary>
    public double? ConnectSeconds { get; set; }

    /// <summary>
    /// From the request being sent to the head of the response. Default 300: an answer that is not streamed begins
    /// only when the model has finished.
    /// </summary>
    public double? FirstByteSeconds { get; set; }

    /// <summary>Longest silence inside the body. Default 120.</summary>
    public double? BetweenChunksSeconds { get; set; }

    /// <summary>The whole exchange. Default 600.</summary>
    public double? TotalSeconds { get; set; }
}
