using System.Globalization;
using System.Net;
using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// Reads addresses in the form that other Redis clients read (https://www.iana.org/assignments/uri-schemes/prov/redis), with several hosts and Sentinel
/// as their custom is; anything without a scheme is a connection string of the client library.
/// </summary>
internal static class RedisAddress
{
    public const string Format = "REDIS_URL (or Redis:Url) must be like redis://:password@host:6379, rediss://host:6380 with TLS, redis+sentinel://host:26379/mymaster, or a StackExchange.Redis connection string.";

    /// <exception cref="FormatException">It is none of the forms.</exception>
    public static ConfigurationOptions Parse(string text)
    {
        int end = text.IndexOf("://", StringComparison.Ordinal);
        if (end < 0) return ConfigurationOptions.Parse(text);
        var result = new ConfigurationOptions();
        bool sentinel = false;
        switch (text[..end].ToLowerInvariant())
        {
            case "redis": break;
            case "rediss": result.Ssl = true; break;
            case "redis+sentinel": sentinel = true; break;
            case "rediss+sentinel": sentinel = result.Ssl = true; break;
            default: throw new FormatException(Format);
        }
        string rest = text[(end + 3)..];
        if (rest.Contains('?')) throw new FormatException(Format);
        int at = rest.LastIndexOf('@');
        if (at >= 0)
        {
            string user = rest[..at];
            rest = rest[(at + 1)..];
            int colon = user.IndexOf(':');
            if (colon < 0) throw new FormatException(Format);
            if (colon > 0) result.User = Uri.UnescapeDataString(user[..colon]);
            result.Password = Uri.UnescapeDataString(user[(colon + 1)..]);
        }
        string[] parts = rest.TrimEnd('/').Split('/');
        if (parts.Length > 2) throw new FormatException(Format);
        foreach (string host in parts[0].Split(',', StringSplitOptions.TrimEntries)) result.EndPoints.Add(EndPoint(host, sentinel ? 26379 : 6379));
        if (sentinel) result.ServiceName = parts.Length == 2 ? Uri.UnescapeDataString(parts[1]) : throw new FormatException(Format);
        else if (parts.Length == 2) result.DefaultDatabase = int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int database) ? database : throw new FormatException(Format);
        return result;
    }

    private static EndPoint EndPoint(string host, int defaultPort)
    {
        if (!Uri.TryCreate($"tcp://{host}", UriKind.Absolute, out Uri? address) || address.Host.Length == 0 || address.PathAndQuery.Length > 1) throw new FormatException(Format);
        int port = address.IsDefaultPort || address.Port < 0 ? defaultPort : address.Port;
        return IPAddress.TryParse(address.Host.Trim('[', ']'), out IPAddress? ip) ? new IPEndPoint(ip, port) : new DnsEndPoint(address.Host, port);
    }
}
