using MultiAgent.Data.Postgres;
using Npgsql;

namespace MultiAgent.Data.Tests.Postgres;

public sealed class PostgresUrlTests
{
    [Fact]
    public void Url_WithEncodedParts_IsDecoded()
    {
        NpgsqlConnectionStringBuilder settings = Parse("postgresql://me%40corp:p%3Aa%2Fs%25s%20w@db.example:6432/my%20db?sslmode=verify-full&application_name=a%26b&connect_timeout=7");
        Assert.Equal(("me@corp", "p:a/s%s w", "db.example", 6432, "my db"), (settings.Username, settings.Password, settings.Host, settings.Port, settings.Database));
        Assert.Equal((SslMode.VerifyFull, "a&b", 7), (settings.SslMode, settings.ApplicationName, settings.Timeout));
    }

    [Fact]
    public void Url_WithSeveralHosts_KeepsTheirPorts()
    {
        NpgsqlConnectionStringBuilder settings = Parse("postgres://u:p@a:1,b,[::1]:3/d?target_session_attrs=read-write");
        Assert.Equal("a:1,b,[::1]:3", settings.Host);
        Assert.Equal("read-write", settings.TargetSessionAttributes);
        using NpgsqlDataSource source = new NpgsqlDataSourceBuilder(settings.ConnectionString).BuildMultiHost();
    }

    [Fact]
    public void Url_OfOneIpv6Host_LosesTheBrackets() => Assert.Equal(("::1", 5433), (Parse("postgres://u@[::1]:5433/d").Host, Parse("postgres://u@[::1]:5433/d").Port));

    [Fact]
    public void Url_WithASocketsFolder_TakesItAsTheHost() => Assert.Equal("/var/run/postgresql", Parse("postgres://u@%2Fvar%2Frun%2Fpostgresql/d").Host);

    [Fact]
    public void Url_WithoutADatabase_TakesTheUsersName() => Assert.Equal("u", Parse("postgres://u:p@h").Database);

    [Fact]
    public void Url_WithARootCertificate_IsCheckedAgainstIt()
    {
        using var folder = new TempFolder();
        string file = Path.Combine(folder.Path, "ca.crt");
        File.WriteAllText(file, "");
        NpgsqlConnectionStringBuilder settings = Parse($"postgres://u@h/d?sslmode=require&sslrootcert={Uri.EscapeDataString(file)}");
        Assert.Equal((SslMode.VerifyCA, file), (settings.SslMode, settings.RootCertificate));
    }

    [Fact]
    public void ConnectionString_OfNpgsql_IsTakenAsItIs()
    {
        NpgsqlConnectionStringBuilder settings = Parse("Host=h;Port=5;Username=u;Password=a=b://c;Database=d;Maximum Pool Size=3");
        Assert.Equal(("h", 5, "u", "a=b://c", "d", 3), (settings.Host, settings.Port, settings.Username, settings.Password, settings.Database, settings.MaxPoolSize));
    }

    [Theory]
    [InlineData("mysql://u:s3cret@h/d", "must begin with postgres://")]
    [InlineData("postgres://u:s3cret@h:notaport/d", "has the port 'notaport'")]
    [InlineData("postgres://u:s3cret@h:70000/d", "has the port '70000'")]
    [InlineData("postgres://u:s3cret%zz@h/d", "cannot be read")]
    [InlineData("postgres://u:s3cret@h/d?sslmode=perhaps", "the parameter 'sslmode'")]
    [InlineData("postgres://u:s3cret@h/d?nonsense=1", "the parameter 'nonsense'")]
    [InlineData("postgres://u:s3cret@h/d?sslrootcert=/no/such/file", "/no/such/file")]
    [InlineData("postgres://u:s3cret@/d", "names no host")]
    [InlineData("postgres://h/d", "names no user")]
    [InlineData("postgres://u:s3cret@a,,b/d", "empty host")]
    [InlineData("postgres://u:s3#cret@h/d", "%23")]
    [InlineData("Host=h;Password=s3cret", "names no user")]
    [InlineData("s3cret", "is neither a URL")]
    [InlineData("Host=h;Nonsense=s3cret", "is neither a URL")]
    public void Text_ThatIsWrong_IsToldWithoutTheSecret(string text, string part)
    {
        Assert.False(PostgresUrl.TryParse(text, out _, out string? problem));
        Assert.Contains(part, problem);
        Assert.DoesNotContain("s3", problem);
    }

    [Theory]
    [InlineData("postgres://u:p@h/d", 7, 9, 5)]
    [InlineData("postgres://u:p@h/d?Maximum Pool Size=3&connect_timeout=2&Command Timeout=4", 3, 4, 2)]
    public async Task Connections_HaveTheOptionsLimits_UnlessTheUrlSaysOtherwise(string url, int pool, int statement, int connect)
    {
        await using var server = new PostgresServer(Microsoft.Extensions.Options.Options.Create(new DataOptions { DatabaseUrl = url, MaxConnections = 7, StatementTimeoutSeconds = 9 }));
        var settings = new NpgsqlConnectionStringBuilder(server.Primary.ConnectionString);
        Assert.Equal((pool, statement, connect), (settings.MaxPoolSize, settings.CommandTimeout, settings.Timeout));
        Assert.Equal((true, 0, "maap"), (settings.NoResetOnClose, settings.MaxAutoPrepare, settings.ApplicationName));
    }

    private static NpgsqlConnectionStringBuilder Parse(string url)
    {
        Assert.True(PostgresUrl.TryParse(url, out NpgsqlConnectionStringBuilder? settings, out string? problem), problem);
        return settings;
    }
}
