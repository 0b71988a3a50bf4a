namespace MultiAgent.Models.Catalogue;

/// <summary>What is known about a model, whoever serves it.</summary>
internal sealed record ModelFacts
{
    public int? ContextTokens { get; init; }
    public int? MaxOutputTokens { get; init; }
    public ModelCapabilities Capabilities { get; init; } = ModelCapabilities.Chat | ModelCapabilities.Tools;
    public ModelTier? Tier { get; init; }
    public ModelPrice? Price { get; init; }
    public IReadOnlyList<string> Fallbacks { get; init; } = [];

    /// <summary>These facts with what the configuration says laid over them; the options are valid.</summary>
    public ModelFacts With(CatalogueModelOptions options) => this with
    {
        ContextTokens = options.ContextTokens ?? ContextTokens,
        MaxOutputTokens = options.MaxOutputTokens ?? MaxOutputTokens,
        Capabilities = options.Capabilities is { } names ? names.Aggregate(ModelCapabilities.None, (all, name) => all | CatalogueNames.Capability(name)!.Value) : Capabilities,
        Tier = options.Tier is { } tier ? CatalogueNames.Tier(tier) : Tier,
        Price = PriceWith(options),
        Fallbacks = options.Fallbacks ?? Fallbacks,
    };

    private ModelPrice? PriceWith(CatalogueModelOptions options)
    {
        if ((options.InputPrice ?? Price?.Input) is not { } input) return null;
        // Discounts of the list price mean nothing next to a new input price.
        ModelPrice? discounts = options.InputPrice is null ? Price : null;
        return new ModelPrice(
            input,
            options.CachedInputPrice ?? discounts?.CachedInput ?? input,
            options.CacheWritePrice ?? discounts?.CacheWrite ?? input,
            options.OutputPrice ?? Price?.Output ?? 0);
    }
}
