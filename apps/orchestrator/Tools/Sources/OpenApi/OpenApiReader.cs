using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Tools.Sources.OpenApi;

/// <summary>Reads OpenAPI documents. What comes out is always version 3.1, whose schemas are JSON schemas.</summary>
internal static class OpenApiReader
{
    public const int MaxBytes = 2 * 1024 * 1024;
    private const int MaxDepth = 64;

    /// <param name="text">JSON or YAML; untrusted.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="SourceReadException">It is no usable document.</exception>
    public static async Task<JsonObject> ReadAsync(string text, CancellationToken cancellationToken)
    {
        if (text.Length > MaxBytes) throw new SourceReadException($"The document is larger than {MaxBytes} bytes.");
        string json = text.AsSpan().TrimStart().StartsWith("{") ? text : FromYaml(text);
        CheckDepth(json);
        ReadResult result;
        try
        {
            json = KeepNullable(json);
            // References to other documents are not loaded: that would be a way around the guard of outbound calls.
            using var stream = new MemoryStream(Encoding.UTF8.GetBytes(json));
            result = await OpenApiDocument.LoadAsync(stream, "json", new OpenApiReaderSettings { LoadExternalRefs = false }, cancellationToken);
        }
        catch (Exception e) when (e is not (OperationCanceledException or SourceReadException))
        {
            // The library throws what its parsers throw; all of it means that the document is of no use.
            throw new SourceReadException($"The document cannot be read: {e.Message.Split('\n')[0]}");
        }
        if (result.Document is not { } document) throw new SourceReadException($"The document cannot be read: {result.Diagnostic?.Errors.FirstOrDefault()?.Message ?? "it is no OpenAPI document"}");
        if (result.Diagnostic is { Errors: [var first, ..] errors })
            throw new SourceReadException($"The document has {errors.Count} errors; the first: {first.Message} ({first.Pointer})");
        try
        {
            string whole = await document.SerializeAsJsonAsync(OpenApiSpecVersion.OpenApi3_1, cancellationToken);
            return JsonNode.Parse(whole, null, new JsonDocumentOptions { MaxDepth = 128 })!.AsObject();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new SourceReadException($"The document cannot be read: {e.Message.Split('\n')[0]}");
        }
    }

    private static string FromYaml(string text) => WorkflowReader.ToJson(text, out WorkflowProblem? problem) is { } value ? value.GetRawText()
        : throw new SourceReadException($"The document is neither JSON nor usable YAML: {problem!.Message} (line {problem.Line}, column {problem.Column})");

    /// <summary>
    /// In version 3.0 what refers to another schema says that it may be null beside the reference, which formally means nothing and is everywhere meant. The library drops it:
    /// it is carried over as an extension.
    /// </summary>
    private static string KeepNullable(string json)
    {
        if (JsonNode.Parse(json) is not JsonObject root) throw new SourceReadException("The document is no object.");
        if (root["openapi"] is not JsonValue version || !version.TryGetValue(out string? number) || !number.StartsWith("3.0", StringComparison.Ordinal)) return json;
        Mark(root);
        return root.ToJsonString();
    }

    private static void Mark(JsonNode? node)
    {
        if (node is JsonArray items)
        {
            foreach (JsonNode? item in items) Mark(item);
            return;
        }
        if (node is not JsonObject value) return;
        if (value["nullable"] is JsonValue nullable && nullable.TryGetValue(out bool on) && on && !value.ContainsKey("type"))
        {
            value.Remove("nullable");
            value[OpenApiSchemas.Nullable] = true;
        }
        foreach ((string _, JsonNode? member) in value.ToList()) Mark(member);
    }

    private static void CheckDepth(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
        }
        catch (JsonException e)
        {
            throw new SourceReadException($"The document is not valid JSON, or is nested deeper than {MaxDepth} levels (line {e.LineNumber + 1}).");
        }
    }
}
