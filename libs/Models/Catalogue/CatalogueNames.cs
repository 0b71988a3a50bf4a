namespace MultiAgent.Models.Catalogue;

/// <summary>The words and names of the catalogue as they are written in configuration and requests.</summary>
internal static class CatalogueNames
{
    /// <summary>The provider that is always there.</summary>
    public const string Local = "local";

    public const string CapabilityWords = "chat, embeddings, tools, vision, json_schema, reasoning";
    public const string TierWords = "fast, balanced, strong";

    /// <summary>Longest model name that is looked at; longer ones name nothing.</summary>
    public const int MaxLength = 256;

    /// <summary>Names that mean something else in the place of a provider or a model.</summary>
    public static bool IsReserved(string name) =>
        name.Equals("auto", StringComparison.OrdinalIgnoreCase) || name.Equals("agent", StringComparison.OrdinalIgnoreCase) || name.Equals("workflow", StringComparison.OrdinalIgnoreCase);

    /// <summary>Splits at the first slash: names at the provider may hold further ones.</summary>
    public static bool TrySplit(string id, out string provider, out string model)
    {
        int slash = id.IndexOf('/');
        provider = slash > 0 ? id[..slash].ToLowerInvariant() : "";
        model = slash > 0 ? id[(slash + 1)..] : "";
        return model.Length > 0;
    }

    public static ModelCapabilities? Capability(string word) => word.ToLowerInvariant() switch
    {
        "chat" => ModelCapabilities.Chat,
        "embeddings" => ModelCapabilities.Embeddings,
        "tools" => ModelCapabilities.Tools,
        "vision" => ModelCapabilities.Vision,
        "json_schema" => ModelCapabilities.JsonSchema,
        "reasoning" => ModelCapabilities.Reasoning,
        _ => null,
    };

    public static ModelTier? Tier(string word) => word.ToLowerInvariant() switch
    {
        "fast" => ModelTier.Fast,
        "balanced" => ModelTier.Balanced,
        "strong" => ModelTier.Strong,
        _ => null,
    };
}
