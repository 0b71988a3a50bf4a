using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Tools.Sources.OpenApi;

/// <summary>Makes tools of the operations of an OpenAPI document.</summary>
internal sealed class OpenApiImport
{
    private const int MaxTools = 500;
    private static readonly string[] Methods = ["get", "head", "put", "post", "patch", "delete"];
    // They are what other parts of the document and of the call say.
    private static readonly string[] IgnoredHeaders = ["Accept", "Content-Type", "Authorization"];

    private readonly JsonObject _document;
    private readonly OpenApiSpec _spec;
    private readonly OpenApiSchemas _schemas;
    private readonly List<string> _skipped = [];

    private OpenApiImport(JsonObject document, OpenApiSpec spec)
    {
        _document = document;
        _spec = spec;
        _schemas = new OpenApiSchemas(document);
    }

    /// <param name="document">Version 3.1; see <see cref="OpenApiReader"/>.</param>
    /// <param name="spec">The tenant's choices.</param>
    /// <exception cref="SourceReadException">It does not say where the API is, or has no operation that can be called.</exception>
    public static SourceReading Read(JsonObject document, OpenApiSpec spec) => new OpenApiImport(document, spec).Read();

    private SourceReading Read()
    {
        Uri server = Server(_document["servers"]);
        var tools = new List<ImportedTool>();
        var taken = new HashSet<string>(StringComparer.Ordinal);
        foreach ((string path, JsonNode? node) in _document["paths"] as JsonObject ?? [])
        {
            if (node is not JsonObject item) continue;
            foreach (string method in Methods)
            {
                if (item[method] is not JsonObject operation) continue;
                string id = operation["operationId"]?.GetValue<string>() ?? $"{method}_{path}";
                if (_spec.Operations is { } wanted && !wanted.Contains(id)) continue;
                if (tools.Count == MaxTools) throw new SourceReadException($"The document has more than {MaxTools} operations. Name those that you need in 'openApi.operations'.");
                try
                {
                    tools.Add(Tool(id, method.ToUpperInvariant(), path, item, operation, server, taken));
                }
                catch (SourceReadException e)
                {
                    _skipped.Add($"{id}: {e.Message}");
                }
            }
        }
        foreach (string missing in (_spec.Operations ?? []).Except(tools.Select(t => t.RemoteName)).Where(m => !_skipped.Exists(s => s.StartsWith($"{m}: ", StringComparison.Ordinal))))
            _skipped.Add($"{missing}: The document has no such operation.");
        if (tools.Count == 0) throw new SourceReadException($"The document has no operation that can be called.{(_skipped.Count > 0 ? $" {_skipped[0]}" : "")}");
        return new SourceReading(tools, _skipped);
    }

    private ImportedTool Tool(string id, string method, string path, JsonObject item, JsonObject operation, Uri server, HashSet<string> taken)
    {
        var definitions = new JsonObject();
        var properties = new JsonObject();
        var required = new JsonArray();
        List<HttpParameter> parameters = Parameters(item, operation, properties, required, definitions);
        (string? bodyArgument, string? bodyType) = Body(operation, properties, required, definitions);
        var schema = new JsonObject { ["type"] = "object", ["properties"] = properties, ["additionalProperties"] = false };
        if (required.Count > 0) schema["required"] = required;
        if (definitions.Count > 0) schema["$defs"] = definitions;
        JsonElement arguments = JsonSerializer.SerializeToElement(schema);
        if (JsonShape.TryParse(arguments, out string? problem) is null) throw new SourceReadException($"The schema of its arguments {problem}");
        Uri own = operation["servers"] is { } servers || (servers = item["servers"]) is not null ? Server(servers) : server;
        string? header = method is "POST" or "PATCH" ? _spec.IdempotencyHeader : null;
        return new ImportedTool
        {
            Name = ToolNames.Clean(id, taken),
            RemoteName = id,
            Description = Describe(method, path, item, operation),
            Parameters = arguments,
            Result = method == "HEAD" ? null : Result(operation),
            Effect = method switch
            {
                "GET" or "HEAD" => ToolEffect.None,
                "PUT" or "DELETE" => ToolEffect.Idempotent,
                _ => header is null ? ToolEffect.Unsafe : ToolEffect.Idempotent,
            },
            Destructive = method == "DELETE" ? true : null,
            Http = new HttpOperation { Method = method, Url = own.ToString().TrimEnd('/') + path, Parameters = parameters, BodyArgument = bodyArgument, BodyType = bodyType, IdempotencyHeader = header },
        };
    }

    private List<HttpParameter> Parameters(JsonObject item, JsonObject operation, JsonObject properties, JsonArray required, JsonObject definitions)
    {
        var byPlace = new Dictionary<(string In, string Name), JsonObject>();
        // Those of the operation come after, and replace those of the path.
        foreach (JsonNode? node in (item["parameters"] as JsonArray ?? []).Concat(operation["parameters"] as JsonArray ?? []))
        {
            JsonObject parameter = _schemas.Resolve(node);
            byPlace[(Text(parameter, "in") ?? "", Text(parameter, "name") ?? "")] = parameter;
        }
        var result = new List<HttpParameter>();
        foreach (((string place, string name), JsonObject parameter) in byPlace)
        {
            if (place is not ("path" or "query" or "header" or "cookie") || name.Length == 0) throw new SourceReadException($"The parameter '{name}' has no place that is known.");
            if (place == "header" && IgnoredHeaders.Contains(name, StringComparer.OrdinalIgnoreCase)) continue;
            string argument = properties.ContainsKey(name) ? $"{name}_{place}" : name;
            JsonNode source = parameter["schema"] ?? (parameter["content"] as JsonObject)?.FirstOrDefault().Value?["schema"] ?? new JsonObject();
            JsonNode schema = _schemas.Take(source, definitions);
            if (schema is JsonObject own && !own.ContainsKey("$ref") && !own.ContainsKey("description") && Text(parameter, "description") is { } description) own["description"] = description;
            properties[argument] = schema;
            if (place == "path" || parameter["required"]?.GetValue<bool>() == true) required.Add(argument);
            string style = Text(parameter, "style") ?? (place is "query" or "cookie" ? "form" : "simple");
            bool explode = parameter["explode"]?.GetValue<bool>() ?? style == "form";
            result.Add(new HttpParameter(argument, name, place, explode, style switch { "spaceDelimited" => " ", "pipeDelimited" => "|", _ => "," }, style == "deepObject"));
        }
        return result;
    }

    private (string? Argument, string? Type) Body(JsonObject operation, JsonObject properties, JsonArray required, JsonObject definitions)
    {
        if (operation["requestBody"] is not { } node) return (null, null);
        JsonObject body = _schemas.Resolve(node);
        JsonObject content = body["content"] as JsonObject ?? [];
        string? type = content.Select(c => c.Key).OrderBy(Rank).FirstOrDefault(k => Rank(k) < 9);
        if (type is null) throw new SourceReadException($"Its body is of a type that cannot be written: {string.Join(", ", content.Select(c => c.Key))}.");
        string argument = properties.ContainsKey("body") ? "requestBody" : "body";
        JsonNode schema = content[type]?["schema"] ?? new JsonObject();
        properties[argument] = Rank(type) == 2 ? new JsonObject { ["type"] = "string" } : _schemas.Take(schema, definitions);
        if (body["required"]?.GetValue<bool>() == true) required.Add(argument);
        return (argument, type);

        static int Rank(string type) => HttpCall.IsJson(type) ? 0 : type.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase) ? 1
            : type.StartsWith("text/", StringComparison.OrdinalIgnoreCase) ? 2 : 9;
    }

    private JsonElement? Result(JsonObject operation)
    {
        JsonObject responses = operation["responses"] as JsonObject ?? [];
        string? code = responses.Select(r => r.Key).Where(k => k.StartsWith('2')).Order(StringComparer.Ordinal).FirstOrDefault();
        // Several successes would each have a schema of its own.
        if (code is null || responses.Count(r => r.Key.StartsWith('2')) > 1) return null;
        if (_schemas.Resolve(responses[code])["content"] is not JsonObject content) return null;
        JsonNode? schema = content.FirstOrDefault(c => HttpCall.IsJson(c.Key)).Value?["schema"];
        if (schema is null) return null;
        JsonElement whole = JsonSerializer.SerializeToElement(_schemas.Whole(schema));
        return JsonShape.TryParse(whole, out _) is null ? null : whole;
    }

    private Uri Server(JsonNode? servers)
    {
        if (_spec.ServerUrl is { } given) return new Uri(given);
        JsonObject? first = (servers as JsonArray)?.FirstOrDefault() as JsonObject;
        string url = Text(first, "url") ?? "/";
        foreach ((string name, JsonNode? variable) in first?["variables"] as JsonObject ?? []) url = url.Replace($"{{{name}}}", Text(variable as JsonObject, "default") ?? "", StringComparison.Ordinal);
        Uri? uri;
        bool known = _spec.DocumentUrl is { } from ? Uri.TryCreate(new Uri(from), url, out uri) : Uri.TryCreate(url, UriKind.Absolute, out uri);
        if (!known || uri!.Scheme is not ("http" or "https")) throw new SourceReadException("The document does not say where the API is. Set 'openApi.serverUrl'.");
        return uri;
    }

    private static string Describe(string method, string path, JsonObject item, JsonObject operation)
    {
        string? summary = Text(operation, "summary") ?? Text(item, "summary"), description = Text(operation, "description") ?? Text(item, "description");
        string text = (summary, description) switch
        {
            (null, null) => $"{method} {path}",
            (null, _) => description!,
            (_, null) => summary,
            _ => description.StartsWith(summary, StringComparison.Ordinal) ? description : $"{summary}\n{description}",
        };
        return text.Length <= 1024 ? text : text[..1023] + "…";
    }

    private static string? Text(JsonObject? node, string name) => node?[name] is JsonValue value && value.TryGetValue(out string? text) && text.Length > 0 ? text : null;
}
