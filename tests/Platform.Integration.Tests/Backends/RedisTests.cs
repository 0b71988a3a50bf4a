using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Platform.Integration.Tests.Backends;

/// <summary>The platform with a Redis: what a client and an operator see of it, and of its loss.</summary>
public sealed class RedisTests
{
    [Fact]
    public async Task Redis_GoneAndBack_IsShownInHealth_AndNoRequestFails()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["REDIS_URL"] = server.Url });
        await StatusAsync(platform, "ok");
        await AskAsync(platform);
        string metrics = await platform.Client.GetStringAsync("/metrics");
        Assert.Matches(@"(?m)^redis_connected(\{[^}]*\})? 1", metrics);

        await server.KillAsync();
        await AskAsync(platform);
        JsonElement gone = await StatusAsync(platform, "degraded");
        Assert.Contains("limits count per process", gone.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await platform.Client.GetAsync("/health/ready")).StatusCode);
        await AskAsync(platform);

        await server.RunAsync();
        await StatusAsync(platform, "ok");
        await AskAsync(platform);
    }

    [Fact]
    public async Task RateLimit_ThroughRedis_ShowsInHeadersAsWithout()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["REDIS_URL"] = server.Url });
        await StatusAsync(platform, "ok");
        TestTenant tenant = platform.AddTenant("limited", requestsPerMinute: 1, burst: 3);
        for (int left = 2; left >= 0; left--)
        {
            using HttpResponseMessage allowed = await tenant.Client.GetAsync("/api/v1/agents");
            Assert.Equal(HttpStatusCode.OK, allowed.StatusCode);
            Assert.Equal(left.ToString(System.Globalization.CultureInfo.InvariantCulture), allowed.Headers.GetValues("RateLimit-Remaining").Single());
        }
        using HttpResponseMessage refused = await tenant.Client.GetAsync("/api/v1/agents");
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
    }

    [Fact]
    public async Task Revocation_WithCallersKeptInRedis_TakesEffectAtOnce_AlsoAfterRestart()
    {
        Assert.SkipWhen(RedisServer.Missing is not null, RedisServer.Missing ?? "");
        await using RedisServer server = await RedisServer.StartAsync();
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["REDIS_URL"] = server.Url });
        await StatusAsync(platform, "ok");
        using HttpResponseMessage created = await platform.Client.PostAsJsonAsync("/api/v1/keys", new { name = "short-lived", scopes = new[] { "agents:read" } });
        JsonElement key = await created.Content.ReadFromJsonAsync<JsonElement>();
        HttpClient client = platform.ClientFor(key.GetProperty("key").GetString());
        await Eventually.TrueAsync(async () => (await client.GetAsync("/api/v1/agents")).IsSuccessStatusCode && (await server.CommandAsync("DBSIZE")) != ":0", "the key works and is kept");
        Assert.True((await platform.Client.DeleteAsync($"/api/v1/keys/{key.GetProperty("id").GetString()}")).IsSuccessStatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync("/api/v1/agents")).StatusCode);
        await platform.RestartAsync();
        Assert.Equal(HttpStatusCode.Unauthorized, (await platform.ClientFor(key.GetProperty("key").GetString()).GetAsync("/api/v1/agents")).StatusCode);
    }

    private static async Task<JsonElement> StatusAsync(TestPlatform platform, string status)
    {
        JsonElement found = default;
        await Eventually.TrueAsync(async () =>
        {
            JsonElement health = await platform.Client.GetJsonAsync("/health");
            found = health.GetProperty("dependencies").EnumerateArray().Single(d => d.GetProperty("name").GetString() == "redis").Clone();
            return found.GetProperty("status").GetString() == status;
        }, $"Redis is {status}");
        return found;
    }

    private static async Task AskAsync(TestPlatform platform)
    {
        using HttpResponseMessage answer = await platform.Client.PostAsJsonAsync("/v1/chat/completions", new { model = "local/assistant", messages = new[] { new { role = "user", content = "Hello" } } });
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }
}
