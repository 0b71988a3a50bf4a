using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>The proxy of the gateway before a service that tries it.</summary>
[Trait("Database", "once")]
public sealed class ProxyTests : IAsyncLifetime
{
    private readonly List<TempFolder> _folders = [];
    private readonly List<WebApplication> _hosts = [];
    private readonly StubService _stub = new();
    private readonly StubService _second = new();
    private string _dead = "";
    private WebApplication _gateway = null!;

    public async ValueTask InitializeAsync()
    {
        string first = (await HostAsync("orchestrator", _stub)).Urls.First(), second = (await HostAsync("orchestrator", _second)).Urls.First();
        // Two that answer, and one at which nobody listens.
        using (var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _dead = $"http://127.0.0.1:{((IPEndPoint)socket.LocalEndPoint!).Port}";
        }
        _gateway = await HostAsync("api-gateway", StubService.Gateway, new() { ["Services:orchestrator:Urls"] = $"{first};{second};{_dead}" });
    }

    public async ValueTask DisposeAsync()
    {
        foreach (WebApplication host in Enumerable.Reverse(_hosts))
        {
            await host.StopAsync();
            await host.DisposeAsync();
        }
        foreach (TempFolder folder in _folders) folder.Dispose();
    }

    [Fact]
    public async Task Requests_WithOneReplicaDown_AreAllServedByTheOthers()
    {
        using HttpClient client = Client();
        string body = new('x', 100_000);

        // Before the health checks know as well as after.
        for (int i = 0; i < 60; i++)
        {
            using HttpResponseMessage read = await client.GetAsync("/api/v1/agents");
            using HttpResponseMessage written = await client.PostAsync("/api/v1/agents", new StringContent(body));
            Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (read.StatusCode, written.StatusCode));
            Assert.Contains(body, await written.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }

        // Each request was carried out once, and both took their share.
        Assert.Equal(120, _stub.Served + _second.Served);
        Assert.True(_stub.Served > 10 && _second.Served > 10, $"{_stub.Served} and {_second.Served}");
    }

    [Fact]
    public async Task Credential_OfTheClient_StaysAtTheGateway()
    {
        using HttpClient client = Client();
        client.DefaultRequestHeaders.Add("x-api-key", TestPlatform.DemoKey);
        client.DefaultRequestHeaders.Add("X-Forwarded-For", "198.51.100.1");
        client.DefaultRequestHeaders.Add("traceparent", "00-5a17c0de5a17c0de5a17c0de00000009-00000000000000c9-01");

        JsonElement headers = await client.GetJsonAsync("/api/v1/agents");

        string text = headers.ToString();
        Assert.DoesNotContain(TestPlatform.DemoKey, text, StringComparison.Ordinal);
        Assert.DoesNotContain("198.51.100.1", text, StringComparison.Ordinal);
        Assert.Contains("Maap-Service-Token", text, StringComparison.OrdinalIgnoreCase);
        // Without a collector, too: the services may have one.
        Assert.Contains("5a17c0de5a17c0de5a17c0de00000009", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Socket_ToAService_CarriesMessagesBothWays()
    {
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {TestPlatform.DemoKey}");
        using var limit = new CancellationTokenSource(Eventually.Deadline);
        await socket.ConnectAsync(new Uri(_gateway.Urls.First().Replace("http", "ws", StringComparison.Ordinal) + "/api/v1/chat/socket"), limit.Token);

        byte[] buffer = new byte[4096];
        for (int i = 0; i < 20; i++)
        {
            byte[] message = Encoding.UTF8.GetBytes($"message {i}");
            await socket.SendAsync(message, WebSocketMessageType.Text, true, limit.Token);
            WebSocketReceiveResult received = await socket.ReceiveAsync(buffer, limit.Token);
            Assert.Equal($"message {i}", Encoding.UTF8.GetString(buffer, 0, received.Count));
        }
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, limit.Token);

        Assert.Equal(WebSocketState.Closed, socket.State);
    }

    [Fact]
    public async Task Socket_WithoutAKey_IsRefused()
    {
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(new Uri(_gateway.Urls.First().Replace("http", "ws", StringComparison.Ordinal) + "/api/v1/chat/socket"), CancellationToken.None));

        Assert.Equal(HttpStatusCode.Unauthorized, socket.HttpStatusCode);
    }

    [Fact]
    public async Task Route_WithALimit_EndsInTimeAndAStreamsRouteHasNone()
    {
        using HttpClient client = Client();
        long started = Stopwatch.GetTimestamp();

        using HttpResponseMessage limited = await client.GetAsync("/api/v1/agents/slow");
        TimeSpan took = Stopwatch.GetElapsedTime(started);
        using HttpResponseMessage unlimited = await client.GetAsync("/api/v1/chat/slow");

        Assert.Equal((HttpStatusCode.GatewayTimeout, "request_timeout"), (limited.StatusCode, (await limited.ReadJsonAsync()).GetProperty("code").GetString()));
        Assert.True(took > TimeSpan.FromSeconds(0.9) && took < TimeSpan.FromSeconds(10), $"It took {took}.");
        Assert.Equal(HttpStatusCode.OK, unlimited.StatusCode);
    }

    [Fact]
    public async Task Service_ThatIsAway_IsAProblemThatSaysSo()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(40));
        WebApplication alone = await HostAsync("api-gateway", StubService.Gateway, new() { ["Services:orchestrator:Urls"] = _dead, ["Limits:RequestTimeoutSeconds"] = "30" });
        using HttpClient client = Client(alone);

        using HttpResponseMessage response = await client.GetAsync("/api/v1/agents", patience.Token);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "service_unavailable"), (response.StatusCode, (await response.ReadJsonAsync()).GetProperty("code").GetString()));
        Assert.Equal(TimeSpan.FromSeconds(1), response.Headers.RetryAfter!.Delta);
    }

    private async Task<WebApplication> HostAsync(string name, Hosting.IServiceModule module, Dictionary<string, string?>? settings = null)
    {
        var folder = new TempFolder();
        _folders.Add(folder);
        WebApplication host = await StubService.HostAsync(name, module, folder, settings ?? [], _stub);
        _hosts.Add(host);
        return host;
    }

    private HttpClient Client(WebApplication? gateway = null) => new()
    {
        BaseAddress = new Uri((gateway ?? _gateway).Urls.First()),
        DefaultRequestHeaders = { { "Authorization", $"Bearer {TestPlatform.DemoKey}" } },
    };
}
