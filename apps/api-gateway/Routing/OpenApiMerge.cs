using System.Text.Json.Nodes;

namespace MultiAgent.Gateway.Routing;

/// <summary>Adds one OpenAPI document to another.</summary>
internal static class OpenApiMerge
{
    private const string Schemas = "#/components/schemas/";

    // Each process has these of its own; the gateway's are the ones that clients see.
    private static readonly string[] OfEachProcess = ["/health", "/health/live", "/health/ready"];

    /// <summary>Adds the paths, components and tags of <paramref name="other"/>. A schema of the same name and other content gets the service's name in front.</summary>
    public static void Add(JsonObject target, JsonObject other, string service)
    {
        JsonObject components = Member(target, "components"), schemas = Member(components, "schemas");
        JsonObject theirs = other["components"]?["schemas"]?.AsObject() ?? [];
        var renamed = theirs.Where(s => schemas[s.Key] is { } same && !JsonNode.DeepEquals(same, s.Value)).ToDictionary(s => s.Key, s => $"{Pascal(service)}{s.Key}");
        if (renamed.Count > 0) Rename(other, renamed);
        foreach ((string name, JsonNode? schema) in theirs) schemas.TryAdd(renamed.GetValueOrDefault(name, name), schema?.DeepClone());
        foreach ((string kind, JsonNode? group) in other["components"]?.AsObject() ?? [])
        {
            if (kind == "schemas" || group is not JsonObject members) continue;
            JsonObject all = Member(components, kind);
            foreach ((string name, JsonNode? component) in members) all.TryAdd(name, component?.DeepClone());
        }
        JsonObject paths = Member(target, "paths");
        foreach ((string path, JsonNode? item) in other["paths"]?.AsObject() ?? [])
            if (!OfEachProcess.Contains(path)) paths.TryAdd(path, item?.DeepClone());
        MergeTags(target, other);
    }

    private static void MergeTags(JsonObject target, JsonObject other)
    {
        if (other["tags"] is not JsonArray theirs) return;
        if (target["tags"] is not JsonArray tags) target["tags"] = tags = [];
        var known = tags.Select(t => (string?)t?["name"]).ToHashSet();
        foreach (JsonNode? tag in theirs)
            if (known.Add((string?)tag?["name"])) tags.Add(tag?.DeepClone());
    }

    private static void Rename(JsonNode node, Dictionary<string, string> renamed)
    {
        if (node is JsonArray array)
        {
            foreach (JsonNode? item in array)
                if (item is not null) Rename(item, renamed);
        }
        else if (node is JsonObject members)
        {
            if (members["$ref"] is JsonValue reference && reference.TryGetValue(out string? text) && text.StartsWith(Schemas, StringComparison.Ordinal)
                && renamed.TryGetValue(text[Schemas.Length..], out string? name)) members["$ref"] = Schemas + name;
            foreach ((string _, JsonNode? item) in members)
                if (item is not null) Rename(item, renamed);
        }
    }

    private static JsonObject Member(JsonObject parent, string name)
    {
        if (parent[name] is JsonObject there) return there;
        var made = new JsonObject();
        parent[name] = made;
        return made;
    }

    private static string Pascal(string service) => string.Concat(service.Split('-').Select(w => char.ToUpperInvariant(w[0]) + w[1..]));
}
