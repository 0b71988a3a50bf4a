using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Identity;

/// <summary>Which keys open the door, in which headers, and for what.</summary>
[Collection(SharedPlatform.Name)]
public sealed class ApiKeyTests(PlatformFixture fixture)
{
    private const string Chat = """{"model":"local/assistant","messages":[{"role":"user","content":"hi"}]}""";

    private readonly TestPlatform _platform = fixture.Platform;

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("maap_the-key-of-nobody-at-all-0123456789")]
    [InlineData("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")]
    [InlineData("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task Request_WithoutARightKey_Gets401InTheShapeOfItsSurface(string? key)
    {
        HttpClient client = _platform.ClientFor(null);
        if (key is not null) client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Bearer {key}");

        using HttpResponseMessage openAi = await client.PostAsync("/v1/chat/completions", Chat);
        using HttpResponseMessage api = await client.GetAsync("/api/v1/agents");

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized), (openAi.StatusCode, api.StatusCode));
        Assert.Equal("invalid_api_key", (await openAi.ReadJsonAsync()).GetProperty("error").GetProperty("code").GetString());
        JsonElement problem = await api.ReadJsonAsync();
        Assert.Equal("application/problem+json", api.Content.Headers.ContentType!.MediaType);
        Assert.Equal((401, "invalid_api_key"), (problem.GetProperty("status").GetInt32(), problem.GetProperty("code").GetString()));
        Assert.Equal(api.Headers.GetValues("X-Request-Id").Single(), problem.GetProperty("requestId").GetString());
        Assert.Contains("Bearer", api.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("api-key")]
    [InlineData("x-api-key")]
    public async Task Key_InTheHeadersOfOtherClients_IsAccepted(string header)
    {
        HttpClient client = _platform.ClientFor(null);
        client.DefaultRequestHeaders.Add(header, TestPlatform.DemoKey);

        using HttpResponseMessage response = await client.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Key_ThatExpiredOrWasRevoked_Gets401()
    {
        string expired = TenantRows.AddKey(_platform.DataFolder, _platform.Demo.Id, expiresAt: TimeProvider.System.GetUtcNow().AddSeconds(-1));
        string revoked = TenantRows.AddKey(_platform.DataFolder, _platform.Demo.Id, revoked: true);

        foreach (string key in (string[])[expired, revoked])
        {
            using HttpResponseMessage response = await _platform.ClientFor(key).PostAsync("/v1/chat/completions", Chat);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        }
    }

    [Fact]
    public async Task Key_RevokedWhileInUse_IsRefusedWithinASecond()
    {
        JsonElement made = await _platform.Client.PostJsonAsync("/api/v1/keys", """{"name":"short-lived","scopes":["models:invoke","agents:read"]}""", HttpStatusCode.Created);
        string secret = made.EnumerateObject().Single(p => p.Value.ValueKind == JsonValueKind.String && p.Value.GetString()!.StartsWith("maap_", StringComparison.Ordinal) && p.Value.GetString()!.Length > 40).Value.GetString()!;
        HttpClient client = _platform.ClientFor(secret);
        await client.PostJsonAsync("/v1/chat/completions", Chat);

        using HttpResponseMessage revoked = await _platform.Client.DeleteAsync($"/api/v1/keys/{made.GetProperty("id").GetString()}");
        Assert.True(revoked.IsSuccessStatusCode);
        long started = System.Diagnostics.Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(async () =>
        {
            using HttpResponseMessage response = await client.PostAsync("/v1/chat/completions", Chat);
            return response.StatusCode == HttpStatusCode.Unauthorized;
        }, "the revoked key is refused");

        // A second is the promise; a loaded machine may be late, but not by the time that a caller is cached.
        Assert.True(System.Diagnostics.Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(8));
    }

    [Theory]
    [InlineData("models:invoke", "/api/v1/agents")]
    [InlineData("agents:read", "/api/v1/usage")]
    [InlineData("analytics:read", "/v1/models")]
    public async Task Key_WithoutTheScope_Gets403ThatNamesIt(string scope, string path)
    {
        HttpClient client = _platform.ClientFor(TenantRows.AddKey(_platform.DataFolder, _platform.Demo.Id, scopes: scope));

        using HttpResponseMessage response = await client.GetAsync(path);
        JsonElement body = await response.ReadJsonAsync();
        JsonElement error = body.TryGetProperty("error", out JsonElement openAi) ? openAi : body;

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("missing_scope", error.GetProperty("code").GetString());
    }

    [Fact]
    public async Task Key_OverItsOwnRate_LeavesTheTenantsAlone()
    {
        HttpClient limited = _platform.ClientFor(TenantRows.AddKey(_platform.DataFolder, _platform.Demo.Id, requestsPerMinute: 1, burst: 1));

        using HttpResponseMessage first = await limited.GetAsync("/api/v1/agents");
        using HttpResponseMessage second = await limited.GetAsync("/api/v1/agents");
        using HttpResponseMessage other = await _platform.Client.GetAsync("/api/v1/agents");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.TooManyRequests, HttpStatusCode.OK), (first.StatusCode, second.StatusCode, other.StatusCode));
    }
}
