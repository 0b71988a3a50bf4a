using System.Net;
using MultiAgent.Hosting.Redis;
using StackExchange.Redis;
using Xunit;

namespace MultiAgent.Hosting.Tests.Redis;

public sealed class RedisAddressTests
{
    [Theory]
    [InlineData("redis://localhost", "localhost:6379", null, null, false, null, null)]
    [InlineData("redis://:p%40ss%2Fword@cache:7000/3", "cache:7000", null, "p@ss/word", false, 3, null)]
    [InlineData("rediss://app:secret@cache", "cache:6379", "app", "secret", true, null, null)]
    [InlineData("REDIS://10.0.0.1:1,10.0.0.2:2,[::1]:3", "10.0.0.1:1 10.0.0.2:2 [::1]:3", null, null, false, null, null)]
    [InlineData("redis+sentinel://:pw@s1,s2:1/mymaster", "s1:26379 s2:1", null, "pw", false, null, "mymaster")]
    [InlineData("rediss+sentinel://s1/mymaster", "s1:26379", null, null, true, null, "mymaster")]
    [InlineData("cache:6380,password=pw,ssl=true", "cache:6380", null, "pw", true, null, null)]
    public void Parse_OfEachForm_ReadsAllOfIt(string text, string hosts, string? user, string? password, bool ssl, int? database, string? service)
    {
        ConfigurationOptions options = RedisAddress.Parse(text);
        Assert.Equal(hosts, string.Join(' ', options.EndPoints.Select(e => e is DnsEndPoint dns ? $"{dns.Host}:{dns.Port}" : e.ToString())));
        Assert.Equal((user, password, ssl, database, service), (options.User, options.Password, options.Ssl, options.DefaultDatabase, options.ServiceName));
    }

    [Theory]
    [InlineData("http://localhost")]
    [InlineData("redis://")]
    [InlineData("redis://host:port")]
    [InlineData("redis://host/name")]
    [InlineData("redis://host/1/2")]
    [InlineData("redis://host?timeout=1")]
    [InlineData("redis://secret@host")]
    [InlineData("redis+sentinel://host")]
    [InlineData("host,notAnOption=secret")]
    public void Problem_OfMalformedAddress_SaysTheFormAndNoSecret(string text)
    {
        string? problem = new RedisOptions { Url = text }.Problem();
        Assert.NotNull(problem);
        Assert.Contains("REDIS_URL", problem, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Problem_OfOtherSettings_NamesThem()
    {
        Assert.Contains("CaFile", new RedisOptions { Url = "redis://h", CaFile = "/not/there" }.Problem(), StringComparison.Ordinal);
        Assert.Contains("belong together", new RedisOptions { Url = "redis://h", CertificateFile = typeof(RedisAddressTests).Assembly.Location }.Problem(), StringComparison.Ordinal);
        Assert.Contains("PEM", new RedisOptions { Url = "redis://h", CaFile = typeof(RedisAddressTests).Assembly.Location }.Problem(), StringComparison.Ordinal);
        Assert.Contains("Prefix", new RedisOptions { Url = "redis://h", Prefix = "a:b" }.Problem(), StringComparison.Ordinal);
        Assert.Contains("PatienceMilliseconds", new RedisOptions { Url = "redis://h", PatienceMilliseconds = 1 }.Problem(), StringComparison.Ordinal);
        Assert.Contains("SlotSeconds", new RedisOptions { Url = "redis://h", SlotSeconds = 0 }.Problem(), StringComparison.Ordinal);
        Assert.Null(new RedisOptions { Url = "redis://h" }.Problem());
    }
}
