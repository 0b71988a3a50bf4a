using System.Text.Json.Nodes;

namespace MultiAgent.Orchestrator.Tools.Sources.OpenApi;

/// <summary>Takes schemas out of a document: what they refer to comes along as <c>$defs</c>, so that they stand alone. Schemas that contain themselves stay so.</summary>
internal sealed class OpenApiSchemas(JsonObject document)
{
    /// <summary>Marks a schema of version 3.0 that null fits too.</summary>
    public const string Nullable = "x-maap-nullable";

    private const string Prefix = "#/components/schemas/";
    private const int MaxDefinitions = 200;

    /// <summary>A copy of a schema that names its definitions in itself; <paramref name="definitions"/> gets those, by name.</summary>
    /// <exception cref="SourceReadException">It refers to something that is not there, or to another document.</exception>
    public JsonNode Take(JsonNode schema, JsonObject definitions)
    {
        JsonNode copy = schema.DeepClone();
        Rewrite(copy, definitions);
        return copy;
    }

    /// <summary>A schema that stands alone.</summary>
    public JsonObject Whole(JsonNode schema)
    {
        var definitions = new JsonObject();
        JsonNode copy = Take(schema, definitions);
        // A reference has no members beside itself.
        JsonObject whole = copy is JsonObject own && !own.ContainsKey("$ref") ? own : new JsonObject { ["allOf"] = new JsonArray(copy) };
        if (definitions.Count > 0) whole["$defs"] = definitions;
        return whole;
    }

    /// <summary>The object behind a reference to one of the document's components.</summary>
    public JsonObject Resolve(JsonNode? node)
    {
        for (int hops = 0; hops < 8; hops++)
        {
            if (node is not JsonObject value) throw new SourceReadException("The document has an empty place where an object is expected.");
            if (value["$ref"]?.GetValue<string>() is not { } reference) return value;
            node = Find(reference);
        }
        throw new SourceReadException("The document has references in a circle.");
    }

    private JsonNode? Find(string reference)
    {
        if (!reference.StartsWith("#/", StringComparison.Ordinal)) throw new SourceReadException($"The reference '{reference}' leads to another document. Bundle them into one.");
        JsonNode? node = document;
        foreach (string part in reference[2..].Split('/')) node = (node as JsonObject)?[Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)];
        return node ?? throw new SourceReadException($"The reference '{reference}' leads nowhere.");
    }

    private void Rewrite(JsonNode? node, JsonObject definitions)
    {
        if (node is JsonArray items)
        {
            foreach (JsonNode? item in items) Rewrite(item, definitions);
            return;
        }
        if (node is not JsonObject value) return;
        // Of use to other programs only, and its references lead into the document.
        value.Remove("discriminator");
        value.Remove("xml");
        value.Remove("externalDocs");
        if (value["$ref"] is JsonValue text && text.TryGetValue(out string? reference))
        {
            string name = reference.StartsWith(Prefix, StringComparison.Ordinal) ? reference[Prefix.Length..].Replace('/', '_') : reference.TrimStart('#', '/').Replace('/', '_');
            value["$ref"] = $"#/$defs/{name}";
            if (definitions.ContainsKey(name)) return;
            if (definitions.Count >= MaxDefinitions) throw new SourceReadException($"The schema refers to more than {MaxDefinitions} others.");
            JsonNode copy = Find(reference)!.DeepClone();
            definitions[name] = copy;
            Rewrite(copy, definitions);
            return;
        }
        foreach ((string _, JsonNode? member) in value.ToList()) Rewrite(member, definitions);
        if (!value.Remove(Nullable)) return;
        var either = new JsonObject();
        foreach ((string name, JsonNode? member) in value.ToList())
        {
            value.Remove(name);
            either[name] = member;
        }
        value["anyOf"] = new JsonArray(either, new JsonObject { ["type"] = "null" });
    }
}
