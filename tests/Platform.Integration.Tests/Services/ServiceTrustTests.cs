using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>A service believes a token that it can verify, and nothing else.</summary>
[Collection(ServicesApart.Name)]
[Trait("Database", "once")]
public sealed class ServiceTrustTests(ServicesFixture fixture)
{
    private readonly TestPlatform _platform = fixture.Platform;

    public static TheoryData<string, string> BadTokens => new()
    {
        { "another secret", new HandMadeToken { Secret = "another-secret-of-more-than-32-bytes-0123456789" }.ToString() },
        { "the secret as it is, which signs access tokens of users", new HandMadeToken { DerivedKey = false }.ToString() },
        { "expired", new HandMadeToken { ExpiresIn = TimeSpan.FromSeconds(-30) }.ToString() },
        { "lives too long", new HandMadeToken { ExpiresIn = TimeSpan.FromHours(1) }.ToString() },
        { "for another service", new HandMadeToken { Audience = "analytics-service" }.ToString() },
        { "of another issuer", new HandMadeToken { Issuer = "maap" }.ToString() },
        { "of another type", new HandMadeToken { Type = "JWT" }.ToString() },
        { "not signed", new HandMadeToken { Algorithm = "none" }.ToString() },
        { "changed on the way", string.Join('.', new HandMadeToken { TenantId = "ten_b" }.ToString().Split('.') is var good ? [good[0], new HandMadeToken { TenantId = "ten_a" }.ToString().Split('.')[1], good[2]] : []) },
        { "no token at all", "garbage" },
        { "empty", "" },
    };

    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task Token_ThatCannotBeVerified_Gets401AndACode(string what, string token)
    {
        foreach (string path in (string[])["/internal/v1/agents", "/api/v1/agents"])
        {
            // Not even beside a credential that would do: somebody is trying something.
            using HttpResponseMessage response = await SendAsync("orchestrator", path, token, TestPlatform.DemoKey);

            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{what}: {(int)response.StatusCode} at {path}");
            Assert.Equal("invalid_service_token", (await response.ReadJsonAsync()).GetProperty("code").GetString());
        }
    }

    [Fact]
    public async Task Token_ThatIsRight_StandsForItsCallerAndTakesNoSecondRateLimit()
    {
        string token = new HandMadeToken { TenantId = _platform.Demo.Id }.ToString();

        using HttpResponseMessage response = await SendAsync("orchestrator", "/api/v1/agents", token);
        using HttpResponseMessage forbidden = await SendAsync("orchestrator", "/api/v1/runs", token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains((await response.ReadJsonAsync()).GetProperty("data").EnumerateArray(), a => a.GetProperty("slug").GetString() == "helper");
        Assert.False(response.Headers.Contains("RateLimit-Limit"));
        Assert.Equal((HttpStatusCode.Forbidden, "missing_scope"), (forbidden.StatusCode, (await forbidden.ReadJsonAsync()).GetProperty("code").GetString()));
    }

    [Fact]
    public async Task Token_WithoutACaller_OpensNothingOfATenant()
    {
        using HttpResponseMessage response = await SendAsync("orchestrator", "/api/v1/agents", new HandMadeToken().ToString(), TestPlatform.DemoKey);

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_api_key"), (response.StatusCode, (await response.ReadJsonAsync()).GetProperty("code").GetString()));
    }

    [Theory]
    [InlineData("tenant-service", "/internal/v1/callers/find")]
    [InlineData("orchestrator", "/internal/v1/agents")]
    public async Task InternalEndpoint_WithoutAToken_Gets401AlsoWithAKey(string service, string path)
    {
        using HttpResponseMessage response = await SendAsync(service, path, null, TestPlatform.DemoKey, service == "tenant-service" ? HttpMethod.Post : HttpMethod.Get);

        Assert.Equal((HttpStatusCode.Unauthorized, "invalid_service_token"), (response.StatusCode, (await response.ReadJsonAsync()).GetProperty("code").GetString()));
    }

    [Theory]
    [InlineData("/internal/v1/callers/find")]
    [InlineData("/internal/v1/agents")]
    [InlineData("/internal/v1/completions")]
    public async Task InternalEndpoint_ThroughTheFrontDoor_DoesNotExist(string path)
    {
        ServiceTokens tokens = _platform.App.Services.GetRequiredService<ServiceTokens>();
        foreach (string audience in (string[])["api-gateway", "orchestrator", "tenant-service"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = HttpTestExtensions.Json("{}") };
            request.Headers.Add(HandMadeToken.Header, tokens.Issue(audience, null));
            using HttpResponseMessage response = await _platform.Client.SendAsync(request);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    [Fact]
    public async Task Header_FromOutside_IsNotPassedOnAndNotBelieved()
    {
        TestTenant other = _platform.AddTenant($"other-{Guid.NewGuid():N}"[..20]);
        // The best that a thief can have: a token that the orchestrator would believe.
        string stolen = _platform.App.Services.GetRequiredService<ServiceTokens>().Issue("orchestrator", await CallerAsync(TestPlatform.DemoKey));
        string own = _platform.App.Services.GetRequiredService<ServiceTokens>().Issue("api-gateway", await CallerAsync(TestPlatform.DemoKey));
        foreach (string token in (string[])[stolen, own])
        {
            foreach (string path in (string[])["/api/v1/agents", "/v1/models"])
            {
                using var mine = new HttpRequestMessage(HttpMethod.Get, path);
                mine.Headers.Add(HandMadeToken.Header, token);
                using HttpResponseMessage response = await other.Client.SendAsync(mine);
                string body = await response.Content.ReadAsStringAsync();
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.DoesNotContain("helper", body, StringComparison.Ordinal);

                using var nobody = new HttpRequestMessage(HttpMethod.Get, path);
                nobody.Headers.Add(HandMadeToken.Header, token);
                using HttpResponseMessage refused = await _platform.ClientFor(null).SendAsync(nobody);
                Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            }
        }
    }

    [Fact]
    public async Task Service_AskedDirectlyWithAKey_AsksTheTenantServiceAndLimitsTheRate()
    {
        foreach ((string service, string path) in ((string, string)[])[("orchestrator", "/api/v1/agents"), ("analytics-service", "/api/v1/usage"), ("tenant-service", "/api/v1/me")])
        {
            using HttpResponseMessage response = await SendAsync(service, path, null, TestPlatform.DemoKey);
            using HttpResponseMessage refused = await SendAsync(service, path, null, "maap_the-key-of-nobody-at-all-0123456789");

            Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Unauthorized), (response.StatusCode, refused.StatusCode));
            Assert.True(response.Headers.Contains("RateLimit-Limit"), service);
        }
    }

    [Fact]
    public async Task ClientAddress_InAToken_IsTheOneWhoseAttemptsAreCounted()
    {
        // Ten attempts at once, in this fixture.
        for (int i = 0; i < 10; i++) Assert.Equal(HttpStatusCode.Unauthorized, await LoginAsync("203.0.113.7"));

        Assert.Equal(HttpStatusCode.TooManyRequests, await LoginAsync("203.0.113.7"));
        Assert.Equal(HttpStatusCode.Unauthorized, await LoginAsync("203.0.113.8"));

        async Task<HttpStatusCode> LoginAsync(string address)
        {
            string token = new HandMadeToken { Audience = "tenant-service", ClientAddress = address }.ToString();
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(new Uri(_platform.HostOf("tenant-service").Urls.First()), "/api/v1/auth/login"))
            {
                Content = HttpTestExtensions.Json($$"""{"email":"{{Guid.NewGuid():N}}@example.com","password":"a wrong password"}"""),
            };
            request.Headers.Add(HandMadeToken.Header, token);
            using HttpResponseMessage response = await _platform.ClientFor(null).SendAsync(request);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task TimeLimit_OfTheCaller_EndsTheWorkOfTheService()
    {
        string model = $"slow-{Guid.NewGuid():N}"[..20];
        await _platform.Client.PostJsonAsync("/api/v1/agents", $$"""{"slug":"{{model}}","name":"Slow","instructions":"Think.","model":"fake/{{model}}"}""", HttpStatusCode.Created);
        _platform.Provider.For(model, FakeProvider.UntilAbortedAsync);
        int aborted = _platform.Provider.Aborted;
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(new Uri(_platform.HostOf("orchestrator").Urls.First()), "/internal/v1/completions")) { Content = HttpTestExtensions.Json("""{"messages":[{"role":"user","content":"hi"}]}""") };
        request.Headers.Add(HandMadeToken.Header, new HandMadeToken { TenantId = _platform.Demo.Id, Scopes = "models:invoke" }.ToString());
        request.Headers.Add("Maap-Agent", model);
        request.Headers.Add("Maap-Time-Limit-Ms", "1500");
        long started = Stopwatch.GetTimestamp();

        using HttpResponseMessage response = await _platform.ClientFor(null).SendAsync(request);
        TimeSpan took = Stopwatch.GetElapsedTime(started);

        Assert.Equal((HttpStatusCode.GatewayTimeout, "request_timeout"), (response.StatusCode, (await response.ReadJsonAsync()).GetProperty("code").GetString()));
        Assert.True(took > TimeSpan.FromSeconds(1.4) && took < TimeSpan.FromSeconds(10), $"It took {took}.");
        await Eventually.TrueAsync(() => _platform.Provider.Aborted > aborted, "the call of the model is broken off");
    }

    private async Task<Caller> CallerAsync(string key) =>
        (await _platform.App.Services.GetRequiredService<ITenantDirectory>().FindByApiKeyAsync(key, CancellationToken.None))!;

    private async Task<HttpResponseMessage> SendAsync(string service, string path, string? token, string? key = null, HttpMethod? method = null)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, new Uri(new Uri(_platform.HostOf(service).Urls.First()), path));
        if (token is not null) request.Headers.TryAddWithoutValidation(HandMadeToken.Header, token);
        if (method == HttpMethod.Post) request.Content = HttpTestExtensions.Json("{}");
        return await _platform.ClientFor(key).SendAsync(request);
    }
}
