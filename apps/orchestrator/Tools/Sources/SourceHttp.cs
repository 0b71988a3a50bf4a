using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Outbound;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>HTTP to the addresses that tenants give: always behind the SSRF guard, with a source's credentials to its own host and nowhere else.</summary>
internal sealed class SourceHttp : IDisposable
{
    private const int MaxRedirects = 3;

    private readonly SocketsHttpHandler _handler;
    private readonly HttpMessageInvoker _plain;
    private readonly ClientCredentials _tokens;

    public SourceHttp(IOptions<HttpToolOptions> options, TimeProvider time)
    {
        _handler = SsrfGuard.CreateHandler(options.Value.AllowPrivateNetworks, TimeSpan.FromSeconds(10));
        _plain = new HttpMessageInvoker(_handler, disposeHandler: false);
        _tokens = new ClientCredentials(_plain, time);
    }

    /// <summary>Sends a request with the source's credentials. Redirects are the caller's.</summary>
    public async Task<HttpResponseMessage> SendAsync(ToolSource source, HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var invoker = new HttpMessageInvoker(Authorized(source, request.RequestUri!), disposeHandler: false);
        return await invoker.SendAsync(request, cancellationToken);
    }

    /// <summary>A client for one source, which adds its credentials to requests to <paramref name="home"/>'s host and breaks answers to POST off that are larger than <paramref name="maxBytes"/>.</summary>
    public HttpClient Client(ToolSource source, Uri home, int maxBytes) => new(new BoundedAnswers(maxBytes, Authorized(source, home)), disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan };

    /// <summary>Gets a document that a tenant names, without credentials.</summary>
    /// <exception cref="SourceReadException">It could not be got.</exception>
    public async Task<string> GetTextAsync(string url, int maxBytes, CancellationToken cancellationToken)
    {
        var uri = new Uri(url);
        try
        {
            for (int redirects = 0; redirects <= MaxRedirects; redirects++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, uri);
                request.Headers.TryAddWithoutValidation("User-Agent", "maap-agent");
                using HttpResponseMessage response = await _plain.SendAsync(request, cancellationToken);
                if ((int)response.StatusCode is 301 or 302 or 303 or 307 or 308 && response.Headers.Location is { } location)
                {
                    uri = new Uri(uri, location);
                    if (uri.Scheme is not ("http" or "https")) break;
                    continue;
                }
                if (!response.IsSuccessStatusCode) throw new SourceReadException($"The host answered HTTP {(int)response.StatusCode}.");
                byte[] bytes = await ReadAsync(response, maxBytes, cancellationToken) ?? throw new SourceReadException($"The document is larger than {maxBytes} bytes.");
                return Encoding.UTF8.GetString(bytes);
            }
            throw new SourceReadException("The host redirects too often, or to something that is not http.");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new SourceReadException(Explain(e));
        }
    }

    /// <summary>The body; null when it is larger than <paramref name="maxBytes"/>.</summary>
    public static async Task<byte[]?> ReadAsync(HttpResponseMessage response, int maxBytes, CancellationToken cancellationToken)
    {
        await using Stream stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        using var buffer = new MemoryStream();
        byte[] piece = new byte[16 * 1024];
        for (int n; (n = await stream.ReadAsync(piece, cancellationToken)) > 0;)
        {
            if (buffer.Length + n > maxBytes) return null;
            buffer.Write(piece, 0, n);
        }
        return buffer.ToArray();
    }

    /// <summary>Why a call failed, without addresses: the inner texts name them.</summary>
    public static string Explain(Exception e) => IsRefused(e) ? "The host leads to an address that may not be called." : "The host could not be reached or broke off.";

    public static bool IsRefused(Exception? e) => e is not null && (e is OutboundRefusedException || IsRefused(e.InnerException));

    public void Dispose()
    {
        _plain.Dispose();
        _handler.Dispose();
    }

    private AuthorizingHandler Authorized(ToolSource source, Uri home) => new(source, home, _tokens, _handler);

    private sealed class AuthorizingHandler(ToolSource source, Uri home, ClientCredentials tokens, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Uri uri = request.RequestUri!;
            if (uri.Scheme != home.Scheme || uri.Port != home.Port || !uri.IdnHost.Equals(home.IdnHost, StringComparison.OrdinalIgnoreCase)) return await base.SendAsync(request, cancellationToken);
            foreach ((string name, string value) in source.Secrets.Headers ?? new Dictionary<string, string>())
            {
                request.Headers.Remove(name);
                request.Headers.TryAddWithoutValidation(name, value);
            }
            if (source.Spec.Auth?.OAuth is not { } oauth) return await base.SendAsync(request, cancellationToken);
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", await tokens.GetAsync(source, oauth, cancellationToken));
            HttpResponseMessage response = await base.SendAsync(request, cancellationToken);
            // The next attempt asks for a new one.
            if (response.StatusCode == HttpStatusCode.Unauthorized) tokens.Forget(source);
            return response;
        }
    }
}
