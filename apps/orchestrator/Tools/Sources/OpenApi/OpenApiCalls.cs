using System.Text;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools.Sources.OpenApi;

/// <summary>Calls operations of HTTP APIs.</summary>
internal sealed class OpenApiCalls(SourceHttp http) : ISourceCalls
{
    private const int MaxErrorCharacters = 4000;

    public string Kind => ToolSourceSpec.OpenApiKind;

    public async Task<SourceReply> CallAsync(ToolSource source, ImportedTool tool, ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        using HttpRequestMessage request = HttpCall.Request(tool.Http!, arguments, context.IdempotencyKey);
        int limit = source.Spec.Limits?.MaxResultBytes ?? ToolSource.DefaultMaxResultBytes;
        try
        {
            using HttpResponseMessage response = await http.SendAsync(source, request, cancellationToken);
            int status = (int)response.StatusCode;
            byte[] body = await SourceHttp.ReadAsync(response, limit, cancellationToken) ?? throw new ToolException($"The result is larger than {limit} bytes. Ask for less.");
            string text = Encoding.UTF8.GetString(body);
            if (status is >= 300 and < 400) throw new ToolException($"HTTP {status}: the host redirects, which is not followed.");
            if (status >= 400)
                throw new ToolException($"HTTP {status}\n\n{(text.Length <= MaxErrorCharacters ? text : text[..MaxErrorCharacters])}") { IsTransient = status is 408 or 425 or 429 or >= 500 };
            string? type = response.Content.Headers.ContentType?.MediaType;
            return body.Length == 0 ? new SourceReply($"HTTP {status}, without content.", null) : new SourceReply(text, HttpCall.IsJson(type) ? Parse(text) : null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new ToolException(SourceHttp.Explain(e)) { IsTransient = !SourceHttp.IsRefused(e) };
        }
    }

    private static JsonElement? Parse(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 64 });
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
