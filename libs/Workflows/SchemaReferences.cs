using System.Text.Json;
using System.Text.Json.Nodes;

namespace MultiAgent.Workflows;

/// <summary>References inside of JSON schemas, checked before the schema library sees them: it would follow a circle until the process dies.</summary>
internal sealed class SchemaReferences
{
    private static readonly string[] Lists = ["allOf", "anyOf", "oneOf"];
    private static readonly string[] Singles = ["not", "if", "then", "else"];

    private readonly JsonNode _root;
    private readonly HashSet<JsonObject> _open = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<JsonObject> _done = new(ReferenceEqualityComparer.Instance);

    private SchemaReferences(JsonNode root) => _root = root;

    /// <summary>The schema as the library reads it: what newer drafts call <c>$defs</c> it knows as <c>definitions</c>.</summary>
    /// <param name="source">A schema whose depth is bounded.</param>
    /// <param name="mistake">What is wrong with its references.</param>
    public static string Normalise(JsonElement source, out string? mistake)
    {
        JsonNode root = JsonNode.Parse(source.GetRawText(), null, new JsonDocumentOptions { MaxDepth = 128 })!;
        Rename(root);
        Unfold(root);
        var references = new SchemaReferences(root);
        mistake = references.Walk(root);
        return root.ToJsonString();
    }

    // The library overlooks what stands beside a reference, and at the root the definitions do.
    private static void Unfold(JsonNode root)
    {
        if (root is not JsonObject schema || schema["$ref"] is not JsonValue reference) return;
        schema.Remove("$ref");
        if (schema["allOf"] is not JsonArray all) schema["allOf"] = all = [];
        all.Add(new JsonObject { ["$ref"] = reference });
    }

    private static void Rename(JsonNode? node)
    {
        if (node is JsonArray items)
        {
            foreach (JsonNode? item in items) Rename(item);
            return;
        }
        if (node is not JsonObject value) return;
        if (value["$ref"] is JsonValue text && text.TryGetValue(out string? reference) && reference.StartsWith('#')) value["$ref"] = reference.Replace("/$defs/", "/definitions/", StringComparison.Ordinal);
        if (value["$defs"] is JsonObject defs)
        {
            value.Remove("$defs");
            JsonObject into = value["definitions"] as JsonObject ?? [];
            foreach ((string name, JsonNode? definition) in defs.ToList())
            {
                defs.Remove(name);
                into[name] = definition;
            }
            value["definitions"] = into;
        }
        foreach ((string _, JsonNode? member) in value.ToList()) Rename(member);
    }

    private string? Walk(JsonNode? node) => node switch
    {
        JsonArray items => items.Select(Walk).FirstOrDefault(m => m is not null),
        JsonObject value => Follow(value) ?? value.Select(m => Walk(m.Value)).FirstOrDefault(m => m is not null),
        _ => null,
    };

    /// <summary>Goes through what applies to the same value: coming back to where it began would never end.</summary>
    private string? Follow(JsonObject schema)
    {
        if (_done.Contains(schema)) return null;
        if (!_open.Add(schema)) return "has references in a circle.";
        string? mistake = null;
        if (schema["$ref"] is JsonValue text && text.TryGetValue(out string? reference))
            mistake = Find(reference) is JsonObject target ? Follow(target) : $"has the reference '{reference}', which leads nowhere.";
        foreach (string name in Lists)
            if (schema[name] is JsonArray list)
                foreach (JsonNode? item in list) mistake ??= item is JsonObject part ? Follow(part) : null;
        foreach (string name in Singles)
            if (schema[name] is JsonObject part) mistake ??= Follow(part);
        _open.Remove(schema);
        _done.Add(schema);
        return mistake;
    }

    private JsonNode? Find(string reference)
    {
        if (reference == "#") return _root;
        if (!reference.StartsWith("#/", StringComparison.Ordinal)) return null;
        JsonNode? node = _root;
        foreach (string part in reference[2..].Split('/'))
        {
            string name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            node = node is JsonObject value ? value[name] : node is JsonArray items && int.TryParse(name, out int index) && index >= 0 && index < items.Count ? items[index] : null;
        }
        return node;
    }
}
