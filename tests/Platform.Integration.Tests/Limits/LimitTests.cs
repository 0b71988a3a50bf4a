using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Limits;

/// <summary>Requests that are too large, too deep, malformed or too many.</summary>
[Trait("Database", "once")]
public sealed class LimitTests(LimitTests.Fixture fixture) : IClassFixture<LimitTests.Fixture>
{
    private readonly TestPlatform _platform = fixture.Platform;

    public sealed class Fixture : IAsyncLifetime
    {
        public TestPlatform Platform { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Limits:MaxBodyBytes"] = "3000000",
            ["Limits:MaxInFlightRequests"] = "6",
        });

        public ValueTask DisposeAsync() => Platform.DisposeAsync();
    }

    public static TheoryData<string> Surfaces => ["/v1/chat/completions", "/v1/embeddings", "/api/v1/chat", "/api/v1/agents"];

    [Fact]
    public async Task Prompt_OfAMegabyte_IsServed()
    {
        string text = new('x', 1_000_000);
        string[] bodies = [$$"""{"model":"fake/big","messages":[{"role":"user","content":"{{text}}"}]}""", $$"""{"model":"fake/big","messages":[{"role":"user","content":"{{text}}"}],"stream":true}"""];
        foreach (string body in bodies)
        {
            using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/chat/completions", body);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        Assert.All(_platform.Provider.RequestsFor("big"), r => Assert.Equal(1_000_000, r.GetProperty("messages")[0].GetProperty("content").GetString()!.Length));
    }

    [Theory]
    [MemberData(nameof(Surfaces))]
    public async Task Body_AboveTheLimit_Gets413(string path)
    {
        using HttpResponseMessage response = await _platform.Client.PostAsync(path, $$"""{"model":"fake/m","padding":"{{new string('x', 3_100_000)}}"}""");

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal("body_too_large", await CodeAsync(response));
    }

    [Theory]
    [MemberData(nameof(Surfaces))]
    public async Task Body_WithoutALengthAboveTheLimit_Gets413(string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = HttpTestExtensions.Json($$"""{"model":"fake/m","padding":"{{new string('x', 3_100_000)}}"}""") };
        request.Headers.TransferEncodingChunked = true;

        using HttpResponseMessage response = await _platform.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    [Fact]
    public async Task Headers_AboveTheLimit_AreRefused()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models");
        request.Headers.Add("X-Padding", new string('x', 40_000));

        using HttpResponseMessage response = await _platform.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestHeaderFieldsTooLarge, response.StatusCode);
    }

    [Theory]
    [InlineData("/v1/chat/completions", """{"model":"fake/m","messages":[{"role":"user","content":"hi"}],"x":NEST}""")]
    [InlineData("/v1/embeddings", """{"model":"fake/m","input":"a","x":NEST}""")]
    [InlineData("/api/v1/agents", """{"slug":"deep","name":"Deep","responseFormat":NEST}""")]
    public async Task Json_NestedTooDeep_Gets400(string path, string body)
    {
        foreach (int depth in (int[])[100, 100_000])
        {
            using HttpResponseMessage response = await _platform.Client.PostAsync(path, body.Replace("NEST", new string('[', depth) + new string(']', depth), StringComparison.Ordinal));
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
            Assert.Equal("json_too_deep", await CodeAsync(response));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{\"model\":\"fake/m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]")]
    [InlineData("{\"model\":\"fake/m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]} trailing")]
    [InlineData("{'model':'fake/m'}")]
    public async Task Json_ThatIsMalformed_Gets400OnEverySurface(string body)
    {
        foreach (string path in Surfaces.Select(s => s.Data))
        {
            using HttpResponseMessage response = await _platform.Client.PostAsync(path, body);
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{path}: {(int)response.StatusCode}");
            Assert.NotNull(await CodeAsync(response));
        }
        Assert.DoesNotContain(_platform.Provider.Requests, r => r.Body == body);
    }

    [Fact]
    public async Task Text_ThatIsNoUtf8_Gets400OnEverySurface()
    {
        foreach ((string path, string body) in ((string, string)[])[("/v1/chat/completions", "{\"model\":\"fake/m\",\"messages\":[{\"role\":\"user\",\"content\":\"?\"}]}"), ("/v1/embeddings", "{\"model\":\"fake/m\",\"input\":\"?\"}"), ("/api/v1/chat", "{\"agent\":\"assistant\",\"message\":\"?\"}"), ("/api/v1/journeys", "{\"type\":\"?\"}")])
        {
            byte[] bytes = Encoding.UTF8.GetBytes(body);
            bytes[Array.IndexOf(bytes, (byte)'?')] = 0xFF;
            using var content = new ByteArrayContent(bytes);
            content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            using HttpResponseMessage response = await _platform.Client.PostAsync(path, content);
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
        }
    }

    [Theory]
    [InlineData("/api/v1/chat")]
    [InlineData("/api/v1/agents")]
    [InlineData("/api/v1/journeys")]
    public async Task ContentType_OtherThanJson_Gets415(string path)
    {
        using var content = new StringContent("""{"type":"x"}""", Encoding.UTF8, "text/plain");

        using HttpResponseMessage response = await _platform.Client.PostAsync(path, content);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Equal("unsupported_media_type", await CodeAsync(response));
    }

    [Theory]
    [InlineData("GET", "/v1/nothing", 404, "unknown_url")]
    [InlineData("GET", "/api/v1/nothing", 404, "unknown_url")]
    [InlineData("DELETE", "/v1/chat/completions", 405, "method_not_allowed")]
    public async Task Url_OfNothing_HasTheShapeOfItsSurface(string method, string path, int status, string code)
    {
        using HttpResponseMessage response = await _platform.Client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(code, await CodeAsync(response));
    }

    [Theory]
    [InlineData("my-request-1", true)]
    [InlineData("has spaces", false)]
    public async Task RequestId_OfTheClient_IsEchoedWhenItIsUsable(string id, bool echoed)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health/live");
        request.Headers.TryAddWithoutValidation("X-Request-Id", id);

        using HttpResponseMessage response = await _platform.Client.SendAsync(request);

        Assert.Equal(echoed, response.Headers.GetValues("X-Request-Id").Single() == id);
    }

    [Fact]
    public async Task Tenant_AboveItsRate_Gets429WithHeaders()
    {
        TestTenant slow = _platform.AddTenant($"slow-{Guid.NewGuid():N}", requestsPerMinute: 6, burst: 2);
        HttpResponseMessage[] responses = [.. await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => slow.Client.GetAsync("/v1/models")))];

        HttpResponseMessage[] refused = [.. responses.Where(r => r.StatusCode == HttpStatusCode.TooManyRequests)];
        Assert.Equal((2, 3), (responses.Count(r => r.StatusCode == HttpStatusCode.OK), refused.Length));
        Assert.All(responses, r => Assert.Equal("6", r.Headers.GetValues("RateLimit-Limit").Single()));
        Assert.All(responses, r => Assert.True(r.Headers.Contains("RateLimit-Remaining") && r.Headers.Contains("RateLimit-Reset") && r.Headers.Contains("x-ratelimit-limit-requests")));
        Assert.All(refused, r => Assert.InRange(int.Parse(r.Headers.GetValues("Retry-After").Single(), System.Globalization.CultureInfo.InvariantCulture), 1, 10));
        Assert.Equal("rate_limit_exceeded", await CodeAsync(refused[0]));
        // Others are not slowed down.
        await _platform.Client.GetJsonAsync("/v1/models");
    }

    [Fact]
    public async Task Server_AtItsLimit_RefusesEarlyAndStaysHealthy()
    {
        var release = new TaskCompletionSource();
        for (int i = 0; i < 6; i++) _platform.Provider.For("slow", async context =>
        {
            await release.Task.WaitAsync(Eventually.Deadline);
            await FakeProvider.AnswerAsync(context, "done");
        });
        Task<HttpResponseMessage>[] busy = [.. Enumerable.Range(0, 6).Select(_ => _platform.Client.PostAsync("/v1/chat/completions", """{"model":"fake/slow","messages":[{"role":"user","content":"hi"}]}"""))];
        await Eventually.TrueAsync(() => _platform.Provider.RequestsFor("slow").Count == 6, "six requests are under way");

        using HttpResponseMessage refused = await _platform.Client.GetAsync("/v1/models");
        using HttpResponseMessage health = await _platform.Client.GetAsync("/health/live");
        release.SetResult();
        HttpResponseMessage[] served = await Task.WhenAll(busy);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK), (refused.StatusCode, health.StatusCode));
        Assert.Equal("overloaded", await CodeAsync(refused));
        Assert.Equal("1", refused.Headers.GetValues("Retry-After").Single());
        Assert.All(served, r => Assert.Equal(HttpStatusCode.OK, r.StatusCode));
    }

    private static async Task<string?> CodeAsync(HttpResponseMessage response)
    {
        JsonElement body = await response.ReadJsonAsync();
        return (body.TryGetProperty("error", out JsonElement error) ? error : body).GetProperty("code").GetString();
    }
}
