namespace MultiAgent.Messaging.JetStream;

/// <summary>Section <c>Messaging:Nats</c>. With a <see cref="Url"/> events travel through NATS JetStream instead of the embedded log.</summary>
public sealed class JetStreamOptions
{
    /// <summary>Addresses of the servers, separated by commas: <c>nats://</c> or <c>tls://</c>. The variable <c>NATS_URL</c> sets it too.</summary>
    public string? Url { get; set; }

    /// <summary>User name; may stand in the address as well.</summary>
    public string? User { get; set; }

    /// <summary>The user's password.</summary>
    public string? Password { get; set; }

    /// <summary>File with an NKey: one line with the seed (<c>SU…</c>), one with the public key (<c>U…</c>).</summary>
    public string? NKeyFile { get; set; }

    /// <summary>Credentials file: the user's JWT and NKey.</summary>
    public string? CredentialsFile { get; set; }

    /// <summary>Certificates (PEM) that the server's is checked against, in place of the system's.</summary>
    public string? CaFile { get; set; }

    /// <summary>The client's certificate (PEM), for servers that ask for one.</summary>
    public string? CertificateFile { get; set; }

    /// <summary>The private key (PEM) of <see cref="CertificateFile"/>.</summary>
    public string? KeyFile { get; set; }

    /// <summary>Servers that keep a copy of each event: 1, 3 or 5. Default 1; 3 for a cluster.</summary>
    public int Replicas { get; set; } = 1;

    /// <summary>First token of every subject, and part of the streams' names: one server may serve several installations. Default maap.</summary>
    public string Prefix { get; set; } = "maap";

    /// <summary>Hours that an event stays in the stream, read or not; dead letters stay until the operator drops them. Default 168.</summary>
    public int MaxAgeHours { get; set; } = 168;

    /// <summary>Seconds after which an event that a consumer neither acknowledged nor said to be working on is delivered again: how soon the work of a replica that died is taken up. Default 8.</summary>
    public int AckWaitSeconds { get; set; } = 8;

    /// <summary>What is wrong with the settings; null when nothing is.</summary>
    internal string? Problem()
    {
        if (string.IsNullOrWhiteSpace(Url)) return null;
        foreach (string url in Url.Split(',', StringSplitOptions.TrimEntries))
            if (!Uri.TryCreate(url, UriKind.Absolute, out Uri? address) || address.Scheme is not ("nats" or "tls") || address.Host.Length == 0)
                return "NATS_URL (or Messaging:Nats:Url) must be one or more addresses like nats://host:4222 or tls://host:4222, separated by commas.";
        foreach ((string name, string? file) in ((string, string?)[])[(nameof(NKeyFile), NKeyFile), (nameof(CredentialsFile), CredentialsFile), (nameof(CaFile), CaFile), (nameof(CertificateFile), CertificateFile), (nameof(KeyFile), KeyFile)])
            if (file is not null && !File.Exists(file)) return $"Messaging:Nats:{name} names the file '{file}', which is not there.";
        if (((string?[])[User, NKeyFile, CredentialsFile]).Count(v => v is not null) > 1) return "Messaging:Nats takes one of User, NKeyFile and CredentialsFile.";
        if (CertificateFile is null != KeyFile is null) return "Messaging:Nats:CertificateFile and KeyFile belong together.";
        if (Replicas is not (1 or 3 or 5)) return "Messaging:Nats:Replicas must be 1, 3 or 5.";
        if (Prefix.Length is 0 or > 32 || Prefix.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_'))) return "Messaging:Nats:Prefix takes letters, digits, '-' and '_', 32 at most.";
        if (MaxAgeHours < 1) return "Messaging:Nats:MaxAgeHours must be 1 or more.";
        return AckWaitSeconds is < 2 or > 3600 ? "Messaging:Nats:AckWaitSeconds must be between 2 and 3600." : null;
    }
}
