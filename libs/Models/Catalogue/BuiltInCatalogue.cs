using System.Collections.Frozen;
using System.Text.Json;

namespace MultiAgent.Models.Catalogue;

/// <summary>The models that are known without configuration, from the embedded <c>catalogue.json</c>.</summary>
internal sealed class BuiltInCatalogue
{
    private static readonly Lazy<BuiltInCatalogue> s_default = new(LoadEmbedded);

    private BuiltInCatalogue(DateOnly asOf, FrozenDictionary<string, ModelFacts> models) => (AsOf, Models) = (asOf, models);

    public static BuiltInCatalogue Default => s_default.Value;

    /// <summary>The day on which the prices were right.</summary>
    public DateOnly AsOf { get; }

    public FrozenDictionary<string, ModelFacts> Models { get; }

    /// <exception cref="InvalidDataException">The text is not a well-formed catalogue; the message says where.</exception>
    public static BuiltInCatalogue Parse(ReadOnlyMemory<byte> json)
    {
        string where = "catalogue.json";
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            DateOnly asOf = DateOnly.ParseExact(document.RootElement.GetProperty("asOf").GetString()!, "yyyy-MM-dd");
            var models = new Dictionary<string, ModelFacts>(StringComparer.OrdinalIgnoreCase);
            foreach (JsonProperty model in document.RootElement.GetProperty("models").EnumerateObject())
            {
                where = model.Name;
                if (!CatalogueNames.TrySplit(model.Name, out _, out _)) throw new FormatException("the id is not provider/model");
                if (!models.TryAdd(model.Name, ReadFacts(model.Value))) throw new FormatException("the id occurs twice");
            }
            return new BuiltInCatalogue(asOf, models.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase));
        }
        catch (Exception e) when (e is JsonException or FormatException or KeyNotFoundException or InvalidOperationException or ArgumentNullException)
        {
            throw new InvalidDataException($"The built-in model catalogue is malformed at '{where}': {e.Message}", e);
        }
    }

    private static BuiltInCatalogue LoadEmbedded()
    {
        using Stream stream = typeof(BuiltInCatalogue).Assembly.GetManifestResourceStream("MultiAgent.Models.Catalogue.catalogue.json")
            ?? throw new InvalidDataException("The built-in model catalogue is missing from the assembly.");
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return Parse(bytes);
    }

    private static ModelFacts ReadFacts(JsonElement model)
    {
        var capabilities = ModelCapabilities.None;
        foreach (JsonElement word in model.GetProperty("capabilities").EnumerateArray())
            capabilities |= CatalogueNames.Capability(word.GetString()!) ?? throw new FormatException($"'{word}' is no capability");
        decimal input = Price(model, "input") ?? throw new FormatException("'input' is missing");
        decimal? output = Price(model, "output");
        if (output is null && capabilities.HasFlag(ModelCapabilities.Chat)) throw new FormatException("'output' is missing");
        return new ModelFacts
        {
            ContextTokens = Tokens(model, "context"),
            MaxOutputTokens = Tokens(model, "maxOutput"),
            Capabilities = capabilities,
            Tier = model.TryGetProperty("tier", out JsonElement tier)
                ? CatalogueNames.Tier(tier.GetString()!) ?? throw new FormatException($"'{tier}' is no tier")
                : null,
            Price = new ModelPrice(input, Price(model, "cachedInput") ?? input, Price(model, "cacheWrite") ?? input, output ?? 0),
        };
    }

    private static int? Tokens(JsonElement model, string name) => !model.TryGetProperty(name, out JsonElement value) ? null
        : value.GetInt32() is > 0 and int tokens ? tokens
        : throw new FormatException($"'{name}' must be above 0");

    private static decimal? Price(JsonElement model, string name) => !model.TryGetProperty(name, out JsonElement value) ? null
        : value.GetDecimal() is >= 0 and decimal price ? price
        : throw new FormatException($"'{name}' must not be negative");
}
