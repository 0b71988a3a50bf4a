using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Tracking;

/// <summary>What a tenant reads of its requests.</summary>
public sealed class RequestLogTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync() => _platform = await TestPlatform.StartAsync();

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Fact]
    public async Task Completion_IsLoggedWithItsModelAndWithoutItsWords()
    {
        const string Body = """{"model":"fake/priced","messages":[{"role":"user","content":"xyzzy"}]}""";
        using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/chat/completions?secret=xyzzy", Body, ("User-Agent", "tests/1.0"), ("X-Request-Id", "chat-1"));

        JsonElement record = await OneAsync(_platform.Client, "requestId=chat-1");

        Assert.Equal(("POST", "/v1/chat/completions", "/v1/chat/completions", 200), (Text(record, "method"), Text(record, "path"), Text(record, "route"), record.GetProperty("status").GetInt32()));
        Assert.Equal(("fake/priced", "tests/1.0", "127.0.0.1", (long)Body.Length), (Text(record, "model"), Text(record, "userAgent"), Text(record, "clientAddress"), record.GetProperty("requestBytes").GetInt64()));
        Assert.True(record.GetProperty("durationMs").GetDouble() > 0);
        Assert.StartsWith("key_", Text(record, "apiKeyId"), StringComparison.Ordinal);
        Assert.DoesNotContain("xyzzy", record.ToString(), StringComparison.Ordinal);
        Assert.Equal(record.ToString(), (await _platform.Client.GetJsonAsync($"/api/v1/requests/{Text(record, "id")}")).ToString());
    }

    [Fact]
    public async Task Errors_OfEachKind_AreLoggedWithTheirCode()
    {
        string id = "";
        foreach ((string path, int status, string code) in ((string, int, string)[])[("/api/v1/runs/run_nothing", 404, "not_found"), ("/api/v1/requests?limit=0", 400, "validation_failed"), ("/v1/models/none/such", 404, "model_not_found")])
        {
            using HttpResponseMessage response = await _platform.Client.GetAsync(path);
            id = response.Headers.GetValues("X-Request-Id").Single();
            Assert.Equal([code], response.Headers.GetValues("x-maap-error-code"));
            // The id that the platform gave finds the record whatever the range is by default.
            JsonElement record = await OneAsync(_platform.Client, $"requestId={id}");
            Assert.Equal((status, code), (record.GetProperty("status").GetInt32(), Text(record, "errorCode")));
        }
        Assert.Equal(3, (await ListAsync(_platform.Client, "status=4xx")).Length);
        Assert.Single(await ListAsync(_platform.Client, "status=400&method=get&errorCode=validation_failed"));
        Assert.Empty(await ListAsync(_platform.Client, $"requestId={id}&to=2020-01-01T00:00:00Z"));
    }

    [Fact]
    public async Task Log_OfATenant_IsItsAlone()
    {
        TestTenant other = _platform.AddTenant("other");
        using HttpResponseMessage mine = await _platform.Client.PostAsync("/v1/chat/completions", "{", ("X-Request-Id", "mine"));
        JsonElement record = await OneAsync(_platform.Client, "requestId=mine");
        using (HttpResponseMessage _ = await other.Client.GetAsync("/api/v1/agents"))
        {
            await Eventually.TrueAsync(async () => (await ListAsync(other.Client, "route=/api/v1/agents")).Length == 1, "the other's request is logged");
        }

        Assert.Empty(await ListAsync(other.Client, "requestId=mine"));
        using HttpResponseMessage foreign = await other.Client.GetAsync($"/api/v1/requests/{Text(record, "id")}");
        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
    }

    [Fact]
    public async Task Request_WithoutACaller_IsNoTenants()
    {
        using (HttpResponseMessage refused = await _platform.ClientFor("maap_wrong").GetAsync("/api/v1/agents")) Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        using (HttpResponseMessage open = await _platform.ClientFor(null).GetAsync("/health")) Assert.True(open.IsSuccessStatusCode);
        using HttpResponseMessage known = await _platform.Client.PostAsync("/v1/embeddings", "{}", ("X-Request-Id", "known"));
        await OneAsync(_platform.Client, "requestId=known");

        Assert.DoesNotContain(await ListAsync(_platform.Client, "limit=200"), r => Text(r, "path") == "/health" || r.GetProperty("status").GetInt32() == 401);
    }

    [Fact]
    public async Task Summary_SaysHowManyHowFastAndHowWrong()
    {
        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage _ = await _platform.Client.GetAsync("/api/v1/runs/run_nothing");
        }
        await Eventually.TrueAsync(async () => (await ListAsync(_platform.Client, "status=404")).Length == 3, "three are logged");

        JsonElement group = Assert.Single((await _platform.Client.GetJsonAsync("/api/v1/requests/summary?groupBy=route,status&errorCode=not_found")).GetProperty("data").EnumerateArray());

        Assert.Equal((3, 3, 0), (group.GetProperty("requests").GetInt32(), group.GetProperty("clientErrors").GetInt32(), group.GetProperty("serverErrors").GetInt32()));
        Assert.Equal(("/api/v1/runs/{id}", "404"), (Text(group.GetProperty("group"), "route"), Text(group.GetProperty("group"), "status")));
        Assert.True(group.GetProperty("p95Ms").GetDouble() >= group.GetProperty("p50Ms").GetDouble());
    }

    [Theory]
    [InlineData("status=6xx", "status")]
    [InlineData("status=abc", "status")]
    [InlineData("minDurationMs=-1", "minDurationMs")]
    [InlineData("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from")]
    [InlineData("cursor=nonsense!", "cursor")]
    public async Task Parameter_ThatIsWrong_IsNamed(string query, string parameter)
    {
        using HttpResponseMessage response = await _platform.Client.GetAsync($"/api/v1/requests?{query}");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(parameter, Text(await response.ReadJsonAsync(), "param"));
    }

    [Fact]
    public async Task Settings_TurnTheLogOffAndLeaveAddressesOut()
    {
        await using TestPlatform without = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["RequestLog:ClientAddresses"] = "false" });
        using (HttpResponseMessage _ = await without.Client.PostAsync("/v1/embeddings", "{}", ("X-Request-Id", "from-nowhere")))
        {
            JsonElement record = await OneAsync(without.Client, "requestId=from-nowhere");
            Assert.False(record.TryGetProperty("clientAddress", out JsonElement _));
        }
        await using TestPlatform off = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["RequestLog:Enabled"] = "false" });
        using (HttpResponseMessage _ = await off.Client.PostAsync("/v1/chat/completions", """{"model":"fake/priced","messages":[{"role":"user","content":"x"}]}"""))
        {
            // Its usage came the same way, and later.
            await TestPlatform.UsageAsync(off.Client, 1);
            Assert.Empty(await ListAsync(off.Client, ""));
        }
    }

    private static async Task<JsonElement> OneAsync(HttpClient client, string query)
    {
        JsonElement[] found = [];
        await Eventually.TrueAsync(async () => (found = await ListAsync(client, query)).Length > 0, $"a request of {query} is logged");
        return Assert.Single(found);
    }

    private static async Task<JsonElement[]> ListAsync(HttpClient client, string query) => [.. (await client.GetJsonAsync($"/api/v1/requests?{query}")).GetProperty("data").EnumerateArray()];

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}
