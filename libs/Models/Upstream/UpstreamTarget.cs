using System.Net;
using System.Text;

namespace MultiAgent.Models.Upstream;

/// <summary>
/// One URL with constant request headers (authorization, content type), to which requests are posted. Made once per
/// deployment and operation: the head of the request is encoded here and not again per request.
/// </summary>
public sealed class UpstreamTarget
{
    /// <param name="uri">Absolute http or https URL, with path and query.</param>
    /// <param name="headers">Headers sent with every request; <c>Host</c>, <c>Content-Length</c> and <c>Content-Type: application/json</c> are added here.</param>
    /// <exception cref="ArgumentException">The URL is not absolute http(s), or a header holds a line break.</exception>
    public UpstreamTarget(Uri uri, IEnumerable<KeyValuePair<string, string>> headers)
    {
        if (!uri.IsAbsoluteUri || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
            throw new ArgumentException($"'{uri}' is not an absolute http or https URL.", nameof(uri));
        Uri = uri;
        UseTls = uri.Scheme == Uri.UriSchemeHttps;
        EndPoint = new DnsEndPoint(uri.IdnHost.Trim('[', ']'), uri.Port);

        var head = new StringBuilder()
            .Append("POST ").Append(uri.PathAndQuery).Append(" HTTP/1.1\r\n")
            .Append("Host: ").Append(uri.Authority).Append("\r\n")
            .Append("Content-Type: application/json\r\n")
            .Append("Accept: application/json, text/event-stream\r\n")
            .Append("User-Agent: maap\r\n");
        foreach ((string name, string value) in headers)
        {
            if (name.AsSpan().ContainsAny('\r', '\n') || value.AsSpan().ContainsAny('\r', '\n'))
                throw new ArgumentException($"Header '{name}' holds a line break.", nameof(headers));
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }
        head.Append("Content-Length: ");
        Head = Encoding.Latin1.GetBytes(head.ToString());
    }

    public Uri Uri { get; }

    internal bool UseTls { get; }

    internal DnsEndPoint EndPoint { get; }

    /// <summary>Everything up to the value of Content-Length, which differs per request.</summary>
    internal byte[] Head { get; }

    /// <summary>The transport's pool for this endpoint, found on first use.</summary>
    internal object? Pool { get; set; }
}
