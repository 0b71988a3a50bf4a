using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Reads a connection URI of PostgreSQL (https://www.postgresql.org/docs/16/libpq-connect.html#LIBPQ-CONNSTRING-URIS): percent-encoded parts, several
/// hosts, libpq's parameters. A text that is no URI is taken as a connection string of Npgsql. What is wrong is told without the password.
/// </summary>
public static class PostgresUrl
{
    // libpq's names where they differ from Npgsql's; null: known, and without meaning here.
    private static readonly Dictionary<string, string?> Parameters = new(StringComparer.Ordinal)
    {
        ["user"] = "Username", ["password"] = "Password", ["dbname"] = "Database", ["host"] = "Host", ["port"] = "Port", ["sslmode"] = "SSL Mode",
        ["sslrootcert"] = "Root Certificate", ["sslcert"] = "SSL Certificate", ["sslkey"] = "SSL Key", ["sslpassword"] = "SSL Password", ["sslnegotiation"] = "SSL Negotiation",
        ["connect_timeout"] = "Timeout", ["application_name"] = "Application Name", ["target_session_attrs"] = "Target Session Attributes", ["options"] = "Options",
        ["channel_binding"] = "Channel Binding", ["passfile"] = "Passfile", ["client_encoding"] = "Client Encoding", ["gssencmode"] = "GSS Encryption Mode",
        ["keepalives"] = "Tcp KeepAlive", ["keepalives_idle"] = "Tcp KeepAlive Time", ["keepalives_interval"] = "Tcp KeepAlive Interval",
        ["fallback_application_name"] = null, ["pgbouncer"] = null,
    };

    private static readonly string[] Files = ["Root Certificate", "SSL Certificate", "SSL Key", "Passfile"];

    /// <summary>Reads <paramref name="text"/>; false with the end of a sentence that says what is wrong.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out NpgsqlConnectionStringBuilder? settings, [NotNullWhen(false)] out string? problem)
    {
        settings = null;
        var builder = new NpgsqlConnectionStringBuilder();
        try
        {
            problem = text.Contains("://", StringComparison.Ordinal) && !text.Contains('=', StringComparison.Ordinal) || IsUrl(text) ? ReadUrl(text, builder) : ReadConnectionString(text, builder);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or InvalidCastException or OverflowException or KeyNotFoundException)
        {
            // The text of the exception may hold the value.
            problem = "has a value that cannot be read.";
        }
        problem ??= Incomplete(builder);
        if (problem is not null) return false;
        settings = builder;
        return true;
    }

    private static bool IsUrl(string text) => text.StartsWith("postgres://", StringComparison.OrdinalIgnoreCase) || text.StartsWith("postgresql://", StringComparison.OrdinalIgnoreCase);

    private static string? ReadConnectionString(string text, NpgsqlConnectionStringBuilder builder)
    {
        try
        {
            builder.ConnectionString = text;
            return null;
        }
        catch (Exception e) when (e is ArgumentException or FormatException or KeyNotFoundException)
        {
            return "is neither a URL like postgres://user:password@host:5432/database nor a connection string like Host=…;Username=…;Database=….";
        }
    }

    private static string? ReadUrl(string text, NpgsqlConnectionStringBuilder builder)
    {
        if (!IsUrl(text)) return "must begin with postgres:// or postgresql://.";
        string rest = text[(text.IndexOf("://", StringComparison.Ordinal) + 3)..];
        string query = "";
        if (rest.IndexOf('?') is >= 0 and var mark) (rest, query) = (rest[..mark], rest[(mark + 1)..]);
        if (rest.Contains('#', StringComparison.Ordinal)) return "holds a '#'; in a user name or password write %23.";
        if (rest.IndexOf('/') is >= 0 and var slash)
        {
            if (rest[(slash + 1)..] is { Length: > 0 } database) builder.Database = Decode(database);
            rest = rest[..slash];
        }
        if (rest.LastIndexOf('@') is >= 0 and var at)
        {
            string user = rest[..at];
            rest = rest[(at + 1)..];
            int colon = user.IndexOf(':');
            if (Decode(colon < 0 ? user : user[..colon]) is { Length: > 0 } name) builder.Username = name;
            if (colon >= 0) builder.Password = Decode(user[(colon + 1)..]);
        }
        if (rest.Length > 0 && ReadHosts(rest, builder) is { } problem) return problem;
        return ReadParameters(query, builder);
    }

    private static string? ReadHosts(string text, NpgsqlConnectionStringBuilder builder)
    {
        var hosts = new List<string>();
        foreach (string part in text.Split(','))
        {
            // The colons of an IPv6 address stand in brackets.
            int bracket = part.LastIndexOf(']'), colon = part.IndexOf(':', Math.Max(bracket, 0));
            string host = Decode(colon < 0 ? part : part[..colon]), port = colon < 0 ? "" : part[(colon + 1)..];
            if (host.Length == 0) return "has an empty host.";
            if (port.Length > 0 && (!int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number is < 1 or > 65535)) return $"has the port '{port}'; a port is a number from 1 to 65535.";
            hosts.Add(port.Length == 0 ? host : $"{host}:{port}");
        }
        if (hosts is [{ } single] && single.LastIndexOf(':') is > 0 and var end && end > single.LastIndexOf(']'))
        {
            builder.Host = single[..end].Trim('[', ']');
            builder.Port = int.Parse(single.AsSpan(end + 1), CultureInfo.InvariantCulture);
        }
        else builder.Host = hosts is [{ } only] ? only.Trim('[', ']') : string.Join(',', hosts);
        return null;
    }

    private static string? ReadParameters(string query, NpgsqlConnectionStringBuilder builder)
    {
        foreach (string pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=');
            if (equals <= 0) return $"has the parameter '{pair}' without a value.";
            string name = Decode(pair[..equals]), value = Decode(pair[(equals + 1)..]);
            if (!Parameters.TryGetValue(name, out string? key)) key = name;
            if (key is null) continue;
            try
            {
                builder[key] = key switch
                {
                    // Names of libpq that are written otherwise.
                    "SSL Mode" => value switch { "verify-ca" => SslMode.VerifyCA, "verify-full" => SslMode.VerifyFull, _ => Enum.Parse<SslMode>(value, ignoreCase: true) },
                    "Target Session Attributes" => value.Replace("_", "-", StringComparison.Ordinal),
                    "Tcp KeepAlive" => value is "1" or "true",
                    _ => value,
                };
            }
            catch (Exception e) when (e is KeyNotFoundException or ArgumentException or FormatException or InvalidCastException or OverflowException)
            {
                return $"has the parameter '{name}' that is not known or whose value cannot be read.";
            }
        }
        return null;
    }

    private static string? Incomplete(NpgsqlConnectionStringBuilder builder)
    {
        if (string.IsNullOrWhiteSpace(builder.Host)) return "names no host.";
        if (string.IsNullOrWhiteSpace(builder.Username)) return "names no user.";
        if (string.IsNullOrWhiteSpace(builder.Database)) builder.Database = builder.Username;
        foreach (string name in Files)
            if (builder[name] is string { Length: > 0 } file && !File.Exists(file)) return $"names the file '{file}', which is not there.";
        // As libpq does it: who names a root certificate wants it checked.
        if (!string.IsNullOrEmpty(builder.RootCertificate) && builder.SslMode is SslMode.Require) builder.SslMode = SslMode.VerifyCA;
        return null;
    }

    private static string Decode(string text)
    {
        for (int i = 0; i < text.Length; i++)
            if (text[i] == '%' && !(i + 2 < text.Length && char.IsAsciiHexDigit(text[i + 1]) && char.IsAsciiHexDigit(text[i + 2]))) throw new FormatException("A '%' is followed by no two hexadecimal digits.");
        return Uri.UnescapeDataString(text);
    }
}
