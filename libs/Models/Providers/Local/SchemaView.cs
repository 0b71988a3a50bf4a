using System.Text;
using System.Text.Json;

namespace MultiAgent.Models.Providers.Local;

/// <summary>A schema with its references followed, its <c>allOf</c> joined and the first branch of its choices taken.</summary>
internal sealed class SchemaView
{
    // Far more than any real schema chains; ends circles of references.
    private const int MaxParts = 32;

    private readonly List<JsonElement> _parts = [];

    private SchemaView()
    {
    }

    public static SchemaView Of(JsonElement root, JsonElement schema)
    {
        var view = new SchemaView();
        view.Add(root, schema);
        return view;
    }

    public JsonElement? Find(ReadOnlySpan<byte> keyword)
    {
        foreach (JsonElement part in _parts)
            if (part.TryGetProperty(keyword, out JsonElement value)) return value;
        return null;
    }

    public string? Text(ReadOnlySpan<byte> keyword) => Find(keyword) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    public decimal? Number(ReadOnlySpan<byte> keyword) => Find(keyword) is { ValueKind: JsonValueKind.Number } value && value.TryGetDecimal(out decimal number) ? number : null;

    /// <summary>The type to write: of several the first that is not null; without one, what the keywords speak of.</summary>
    public string Type()
    {
        if (Find("type"u8) is { } type)
        {
            if (type.ValueKind == JsonValueKind.String) return type.GetString()!;
            string[] several = [.. type.Items().Where(t => t.ValueKind == JsonValueKind.String).Select(t => t.GetString()!)];
            if (several.Length > 0) return several.FirstOrDefault(t => t != "null") ?? "null";
        }
        if (Find("properties"u8) is not null || Find("required"u8) is not null) return "object";
        if (Find("items"u8) is not null || Find("prefixItems"u8) is not null) return "array";
        return Find("minimum"u8) is not null || Find("maximum"u8) is not null ? "number" : "string";
    }

    public IEnumerable<(string Name, JsonElement Schema)> Properties()
    {
        var seen = new HashSet<string>();
        foreach (JsonElement part in _parts)
        {
            if (part.Member("properties"u8) is not { ValueKind: JsonValueKind.Object } properties) continue;
            foreach (JsonProperty property in properties.EnumerateObject())
                if (seen.Add(property.Name)) yield return (property.Name, property.Value);
        }
    }

    public HashSet<string> Required()
    {
        var names = new HashSet<string>();
        foreach (JsonElement part in _parts)
            foreach (JsonElement name in part.Member("required"u8).Items())
                if (name.ValueKind == JsonValueKind.String) names.Add(name.GetString()!);
        return names;
    }

    /// <summary>Whether a text is bound to more than being a text.</summary>
    public bool IsBound() =>
        Find("enum"u8) is not null || Find("const"u8) is not null || Find("format"u8) is not null || Find("minLength"u8) is not null || Find("maxLength"u8) is not null || Find("pattern"u8) is not null;

    private void Add(JsonElement root, JsonElement schema)
    {
        if (schema.ValueKind != JsonValueKind.Object || _parts.Count >= MaxParts) return;
        _parts.Add(schema);
        if (schema.Text("$ref"u8) is { } reference) Add(root, Resolve(root, reference));
        foreach (JsonElement part in schema.Member("allOf"u8).Items()) Add(root, part);
        JsonElement choice = schema.Member("anyOf"u8).IsDefined() ? schema.Member("anyOf"u8) : schema.Member("oneOf"u8);
        foreach (JsonElement branch in choice.Items().Take(1)) Add(root, branch);
    }

    /// <summary>Follows a JSON pointer within the schema; undefined when it leads nowhere or elsewhere.</summary>
    private static JsonElement Resolve(JsonElement root, string reference)
    {
        if (reference is "#") return root;
        if (!reference.StartsWith("#/", StringComparison.Ordinal)) return default;
        JsonElement at = root;
        foreach (string step in reference[2..].Split('/'))
        {
            string name = Uri.UnescapeDataString(step).Replace("~1", "/").Replace("~0", "~");
            at = at.Member(Encoding.UTF8.GetBytes(name));
        }
        return at;
    }
}
