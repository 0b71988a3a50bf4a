using System.Security.Cryptography.X509Certificates;
using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>Section <c>Redis</c>. With a <see cref="Url"/> rate limits, concurrency limits and cached callers are shared by all replicas.</summary>
public sealed class RedisOptions
{
    /// <summary>
    /// Where Redis is; the variable <c>REDIS_URL</c> sets it too. A URL <c>redis://user:password@host:6379</c>, <c>rediss://</c> with TLS, several
    /// hosts separated by commas (the nodes of a cluster are found by asking any of them), <c>redis+sentinel://:password@host:26379,host2:26379/name</c> or
    /// <c>rediss+sentinel://</c> for the master called <c>name</c>; or a connection string of StackExchange.Redis.
    /// </summary>
    public string? Url { get; set; }

    /// <summary>The user's name; may stand in the address as well.</summary>
    public string? User { get; set; }

    /// <summary>The password; may stand in the address as well.</summary>
    public string? Password { get; set; }

    /// <summary>Certificates (PEM) that the server's is checked against, in place of the system's. Switches TLS on.</summary>
    public string? CaFile { get; set; }

    /// <summary>The client's certificate (PEM), for servers that ask for one.</summary>
    public string? CertificateFile { get; set; }

    /// <summary>The private key (PEM) of <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; set; }

    /// <summary>First part of every key: one server may serve several installations. Default maap.</summary>
    public string Prefix { get; set; } = "maap";

    /// <summary>
    /// Milliseconds that a request waits for Redis before it goes by the limits of its own process; Redis then counts as gone until it answers again. Default 250; 10 to 5 000.
    /// </summary>
    public int PatienceMilliseconds { get; set; } = 250;

    /// <summary>Seconds after which the slots of a process that died are free again; live ones renew theirs three times as often. Default 15; 1 to 600.</summary>
    public int SlotSeconds { get; set; } = 15;

    /// <summary>What is wrong with the settings; null when nothing is.</summary>
    internal string? Problem()
    {
        if (string.IsNullOrWhiteSpace(Url)) return null;
        foreach ((string name, string? file) in ((string, string?)[])[(nameof(CaFile), CaFile), (nameof(CertificateFile), CertificateFile), (nameof(KeyFile), KeyFile)])
            if (file is not null && !File.Exists(file)) return $"Redis:{name} names the file '{file}', which is not there.";
        if (CertificateFile is null != KeyFile is null) return "Redis:CertificateFile and KeyFile belong together.";
        if (Prefix.Length is 0 or > 32 || Prefix.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_'))) return "Redis:Prefix takes letters, digits, '-' and '_', 32 at most.";
        if (PatienceMilliseconds is < 10 or > 5000) return "Redis:PatienceMilliseconds must be between 10 and 5000.";
        if (SlotSeconds is < 1 or > 600) return "Redis:SlotSeconds must be between 1 and 600.";
        try
        {
            return ToConfiguration().EndPoints.Count == 0 ? RedisAddress.Format : null;
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            // What was given may hold a password: the message must not repeat it.
            return RedisAddress.Format;
        }
        catch (System.Security.Cryptography.CryptographicException)
        {
            return "Redis:CaFile, CertificateFile or KeyFile is not a PEM file of the right kind.";
        }
    }

    /// <summary>The settings in the client library's form.</summary>
    /// <exception cref="FormatException">The address is malformed.</exception>
    internal ConfigurationOptions ToConfiguration()
    {
        ConfigurationOptions result = RedisAddress.Parse(Url!.Trim());
        if (User is not null) result.User = User;
        if (Password is not null) result.Password = Password;
        result.ClientName = "maap";
        result.AbortOnConnectFail = false;
        result.ConnectTimeout = 2000;
        result.AsyncTimeout = result.SyncTimeout = Math.Max(1000, PatienceMilliseconds);
        result.ReconnectRetryPolicy = new ExponentialRetry(100, 2000);
        // A command that cannot be sent now fails now: there is always another way to go on.
        result.BacklogPolicy = BacklogPolicy.FailFast;
        if (CaFile is not null)
        {
            result.Ssl = true;
            result.TrustIssuer(CaFile);
        }
        if (result.Ssl && result.SslHost is null && result.EndPoints is [System.Net.DnsEndPoint only]) result.SslHost = only.Host;
        if (CertificateFile is not null)
        {
            X509Certificate2 certificate = X509Certificate2.CreateFromPemFile(CertificateFile, KeyFile);
            result.CertificateSelection += (_, _, _, _, _) => certificate;
        }
        return result;
    }
}
