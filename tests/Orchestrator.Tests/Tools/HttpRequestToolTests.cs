using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Outbound;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Tests.Tools;

[Trait("Database", "once")]
public sealed class HttpRequestToolTests : IAsyncLifetime
{
    private WebApplication _server = null!;

    private int Port => new Uri(_server.Urls.First()).Port;

    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("1.1.1.1", true)]
    [InlineData("2606:4700:4700::1111", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("127.255.1.1", false)]
    [InlineData("0.0.0.0", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("172.16.0.1", false)]
    [InlineData("172.31.255.255", false)]
    [InlineData("172.32.0.1", true)]
    [InlineData("192.168.1.1", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("100.128.0.1", true)]
    [InlineData("100.100.100.200", false)]
    [InlineData("168.63.129.16", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("198.18.0.1", false)]
    [InlineData("::", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("::ffff:8.8.8.8", true)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00:ec2::254", false)]
    [InlineData("ff02::1", false)]
    [InlineData("64:ff9b::7f00:1", false)]
    [InlineData("64:ff9b::808:808", true)]
    [InlineData("2002:7f00:1::", false)]
    [InlineData("2001::1", false)]
    public void Guard_Address_IsPublicOrNot(string address, bool expected) => Assert.Equal(expected, SsrfGuard.IsPublic(IPAddress.Parse(address)));

    [Theory]
    [InlineData("api.example.com", "api.example.com", true)]
    [InlineData("api.example.com", "API.example.com", true)]
    [InlineData("api.example.com", "evil-api.example.com", false)]
    [InlineData("*.example.com", "a.b.example.com", true)]
    [InlineData("*.example.com", "example.com", false)]
    [InlineData("*.example.com", "evilexample.com", false)]
    public void Host_Pattern_Matches(string pattern, string host, bool expected) => Assert.Equal(expected, HostPattern.Matches([pattern], host));

    [Theory]
    [InlineData("http://other.example/", "not allowed")]
    [InlineData("ftp://localhost/", "http or https")]
    [InlineData("http://user:pass@localhost/", "user name")]
    [InlineData("/relative", "http or https")]
    public async Task Call_NotAllowed_IsRefused(string url, string expected) => Assert.Contains(expected, await FailAsync(url, allowPrivate: true));

    [Theory]
    [InlineData("localhost")]
    [InlineData("127.0.0.1")]
    [InlineData("[::ffff:127.0.0.1]")]
    public async Task Call_InnerAddress_IsRefusedUnlessTheOperatorAllows(string host)
    {
        Assert.Contains("may not be called", await FailAsync($"http://{host}:{Port}/echo", allowPrivate: false));
        if (host != "[::ffff:127.0.0.1]") Assert.StartsWith("HTTP 200", await CallAsync($"http://{host}:{Port}/echo", allowPrivate: true));
    }

    [Fact]
    public async Task Call_Post_SendsBodyHeadersAndIdempotencyKey()
    {
        string result = await CallAsync($"http://localhost:{Port}/echo", true, """,\"method\":\"POST\",\"body\":\"{}\",\"headers\":{\"X-Token\":\"t\"}""".Replace("\\", ""));

        Assert.Contains("POST application/json token=t key=run_1:1:0", result);
    }

    [Fact]
    public async Task Call_RedirectToAnotherHost_LeavesTheHeadersBehind() =>
        Assert.Contains("token= ", await CallAsync($"http://localhost:{Port}/to?u=http://127.0.0.1:{Port}/echo", true, ",\"headers\":{\"X-Token\":\"t\"}"));

    [Fact]
    public async Task Call_RedirectToAHostNotAllowed_IsRefused() =>
        Assert.Contains("not allowed", await FailAsync($"http://localhost:{Port}/to?u=http://169.254.169.254/", true));

    [Fact]
    public async Task Call_RedirectsWithoutEnd_AreRefused() => Assert.Contains("more than 5", await FailAsync($"http://localhost:{Port}/loop", true));

    [Fact]
    public async Task Call_LargeResponse_IsCut() => Assert.EndsWith("larger than 2048 bytes]", await CallAsync($"http://localhost:{Port}/large", true));

    [Fact]
    public async Task Call_SlowHost_TimesOut() => Assert.Contains("did not answer within 0.3 s", await FailAsync($"http://localhost:{Port}/slow", true));

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(["--urls", "http://127.0.0.1:0"]);
        builder.Logging.ClearProviders();
        _server = builder.Build();
        _server.Map("/echo", (HttpContext http) => $"{http.Request.Method} {http.Request.ContentType} token={http.Request.Headers["X-Token"]} key={http.Request.Headers["Idempotency-Key"]}");
        _server.MapGet("/to", (string u) => Results.Redirect(u));
        _server.MapGet("/loop", () => Results.Redirect("/loop"));
        _server.MapGet("/large", () => new string('x', 10_000));
        _server.MapGet("/slow", async (CancellationToken ct) => await Task.Delay(Timeout.Infinite, ct));
        await _server.StartAsync();
    }

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    private static async Task<string> CallAsync(string url, bool allowPrivate, string more = "")
    {
        using var tool = new HttpRequestTool(Options.Create(new HttpToolOptions { AllowPrivateNetworks = allowPrivate, MaxResponseBytes = 2048 }), TimeProvider.System);
        var context = new ToolContext
        {
            TenantId = "t", RunId = "run_1", IdempotencyKey = "run_1:1:0",
            Settings = new AgentTool { Name = "http_request", AllowedHosts = ["localhost", "127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1"], TimeoutSeconds = url.EndsWith("/slow", StringComparison.Ordinal) ? 0.3 : 20 },
        };
        return (await tool.ExecuteAsync(context, JsonDocument.Parse($"{{\"url\":\"{url}\"{more}}}").RootElement, default)).Text;
    }

    private static async Task<string> FailAsync(string url, bool allowPrivate) => (await Assert.ThrowsAsync<ToolException>(() => CallAsync(url, allowPrivate))).Message;
}
