using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Outbound;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>Calls an HTTP API on hosts that the agent allows, behind the SSRF guard.</summary>
internal sealed class HttpRequestTool : ITool, IDisposable
{
    public const string ToolName = "http_request";
    private const int MaxRedirects = 5;

    // They would change where the request goes, how it is framed, or speak in the platform's name.
    private static readonly HashSet<string> RefusedHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Expect", "Keep-Alive",
    };

    private readonly HttpMessageInvoker _client;
    private readonly HttpToolOptions _options;
    private readonly TimeProvider _time;

    public HttpRequestTool(IOptions<HttpToolOptions> options, TimeProvider time)
    {
        _options = options.Value;
        _time = time;
        _client = new HttpMessageInvoker(SsrfGuard.CreateHandler(_options.AllowPrivateNetworks, TimeSpan.FromSeconds(10)));
    }

    public string Name => ToolName;

    public bool HasLargeResults => true;

    public string Description => "Calls an HTTP API and returns status, content type and body. Only hosts that this agent allows can be reached.";

    public string ParametersSchema => """
        {"type":"object","properties":{
        "method":{"type":"string","enum":["GET","HEAD","POST","PUT","PATCH","DELETE"],"description":"GET when absent."},
        "url":{"type":"string","description":"Absolute http or https URL.","maxLength":4096},
        "headers":{"type":"object","additionalProperties":{"type":"string"},"maxProperties":32},
        "body":{"type":"string","description":"Request body; JSON unless a Content-Type header says otherwise.","maxLength":262144}},
        "required":["url"],"additionalProperties":false}
        """;

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => Method(arguments) switch
    {
        "GET" or "HEAD" => ToolEffect.None,
        "PUT" or "DELETE" => ToolEffect.Idempotent,
        _ => ToolEffect.Unsafe,
    };

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        double seconds = context.Settings.TimeoutSeconds ?? _options.TimeoutSeconds;
        using var timeout = new CancellationTokenSource(TimeSpan.FromSeconds(seconds), _time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
        try
        {
            return await SendAsync(context, arguments, limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ToolException($"The host did not answer within {seconds:0.#} s.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            // The inner texts name addresses; the model and its user only need to know that it failed.
            throw new ToolException(Refused(e) ? "The host leads to an address that may not be called." : "The host could not be reached or broke off.");
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<string> SendAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> allowed = context.Settings.AllowedHosts ?? [];
        Uri uri = Check(arguments.GetProperty("url").GetString()!, null, allowed);
        string method = Method(arguments);
        string? body = arguments.TryGetProperty("body", out JsonElement text) ? text.GetString() : null;
        Uri origin = uri;
        for (int redirects = 0; ; redirects++)
        {
            using HttpRequestMessage request = Request(method, uri, body, arguments, context, sameHost: SameOrigin(uri, origin));
            using HttpResponseMessage response = await _client.SendAsync(request, cancellationToken);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is null)
                return await DescribeAsync(response, cancellationToken);
            if (redirects == MaxRedirects) throw new ToolException($"The host redirected more than {MaxRedirects} times.");
            uri = Check(response.Headers.Location.OriginalString, uri, allowed);
            if (response.StatusCode == HttpStatusCode.SeeOther || (method == "POST" && (int)response.StatusCode is 301 or 302)) (method, body) = ("GET", null);
        }
    }

    private static Uri Check(string url, Uri? from, IReadOnlyList<string> allowed)
    {
        if (!(from is null ? Uri.TryCreate(url, UriKind.Absolute, out Uri? uri) : Uri.TryCreate(from, url, out uri)) || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
            throw new ToolException("The URL must be an absolute http or https URL.");
        if (uri.UserInfo.Length > 0) throw new ToolException("The URL must not hold a user name or password.");
        string host = uri.IdnHost.Trim('[', ']');
        if (!HostPattern.Matches(allowed, host))
            throw new ToolException($"{(from is null ? "The host" : "The host redirected to")} '{host}'{(from is null ? " is" : ", which is")} not allowed for this agent. Allowed: {string.Join(", ", allowed)}.");
        if (from?.Scheme == Uri.UriSchemeHttps && uri.Scheme == Uri.UriSchemeHttp) throw new ToolException("The host redirected from https to http.");
        return uri;
    }

    private static HttpRequestMessage Request(string method, Uri uri, string? body, JsonElement arguments, ToolContext context, bool sameHost)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), uri) { Content = body is null ? null : new ByteArrayContent(Encoding.UTF8.GetBytes(body)) };
        request.Content?.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        if (method is not ("GET" or "HEAD")) request.Headers.TryAddWithoutValidation("Idempotency-Key", context.IdempotencyKey);
        request.Headers.TryAddWithoutValidation("User-Agent", "maap-agent");
        // Another host gets none of the given headers: any of them may be a credential.
        if (!sameHost || !arguments.TryGetProperty("headers", out JsonElement headers)) return request;
        foreach (JsonProperty header in headers.EnumerateObject())
        {
            string value = header.Value.GetString()!;
            if (RefusedHeaders.Contains(header.Name) || value.AsSpan().IndexOfAny('\r', '\n') >= 0 || header.Name.AsSpan().IndexOfAny('\r', '\n') >= 0)
                throw new ToolException($"The header '{header.Name.ReplaceLineEndings(" ")}' cannot be set.");
            if (header.Name.StartsWith("Content-", StringComparison.OrdinalIgnoreCase))
            {
                request.Content?.Headers.Remove(header.Name);
                request.Content?.Headers.TryAddWithoutValidation(header.Name, value);
            }
            else
            {
                request.Headers.Remove(header.Name);
                request.Headers.TryAddWithoutValidation(header.Name, value);
            }
        }
        return request;
    }

    private async Task<string> DescribeAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        byte[] buffer = new byte[_options.MaxResponseBytes + 1];
        int length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        bool cut = length > _options.MaxResponseBytes;
        string body = Encoding.UTF8.GetString(buffer, 0, Math.Min(length, _options.MaxResponseBytes));
        var text = new StringBuilder().Append("HTTP ").Append((int)response.StatusCode);
        if (response.Content.Headers.ContentType is { } type) text.Append("\nContent-Type: ").Append(type);
        text.Append("\n\n").Append(body);
        if (cut) text.Append("\n[cut: the response is larger than ").Append(_options.MaxResponseBytes).Append(" bytes]");
        return text.ToString();
    }

    private static string Method(JsonElement arguments) => arguments.TryGetProperty("method", out JsonElement method) ? method.GetString()! : "GET";

    private static bool SameOrigin(Uri a, Uri b) => a.Scheme == b.Scheme && a.Port == b.Port && a.IdnHost.Equals(b.IdnHost, StringComparison.OrdinalIgnoreCase);

    private static bool Refused(Exception? e) => e is not null && (e is OutboundRefusedException || Refused(e.InnerException));
}
