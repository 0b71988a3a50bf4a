using System.Buffers;
using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>Reads the source of a workflow from a request.</summary>
internal static class WorkflowBody
{
    public const string Yaml = "application/yaml";

    // More than a workflow may have, so that the answer about the size comes with the other problems of workflows.
    private const int MaxBytes = 512 * 1024;

    private static readonly string[] YamlTypes = [Yaml, "text/yaml", "application/x-yaml", "text/x-yaml"];
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 64 };

    /// <exception cref="ApiException">415 for another type, 400 for a text that is no UTF-8 or no JSON.</exception>
    public static async Task<string> ReadAsync(HttpRequest request, CancellationToken cancellationToken)
    {
        string? type = MediaTypeHeaderValue.TryParse(request.ContentType, out MediaTypeHeaderValue? header) ? header.MediaType : null;
        bool yaml = YamlTypes.Contains(type, StringComparer.OrdinalIgnoreCase);
        if (!yaml && !string.Equals(type, "application/json", StringComparison.OrdinalIgnoreCase)) throw new ApiException(415, ErrorCodes.UnsupportedMediaType, "Send the workflow as application/yaml or application/json.");
        string text = await TextAsync(request.BodyReader, cancellationToken);
        return yaml ? text : FromJson(text);
    }

    private static async Task<string> TextAsync(PipeReader body, CancellationToken cancellationToken)
    {
        while (true)
        {
            ReadResult read = await body.ReadAsync(cancellationToken);
            if (read.IsCompleted || read.Buffer.Length > MaxBytes)
            {
                try
                {
                    return new UTF8Encoding(false, throwOnInvalidBytes: read.IsCompleted).GetString(read.Buffer).TrimStart('\uFEFF');
                }
                catch (DecoderFallbackException)
                {
                    throw new ApiException(400, ErrorCodes.InvalidRequest, "The body is not UTF-8.");
                }
                finally
                {
                    body.AdvanceTo(read.Buffer.End);
                }
            }
            body.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    // JSON is YAML but for a few texts (tabs as indentation, pairs of escapes): those are written anew.
    private static string FromJson(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 64 });
            return WorkflowReader.ToJson(text) is { } same && JsonElement.DeepEquals(same, document.RootElement) ? text : JsonSerializer.Serialize(document.RootElement, Indented);
        }
        catch (JsonException e)
        {
            throw new ApiException(400, ErrorCodes.InvalidJson, $"The body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine}).");
        }
    }
}
