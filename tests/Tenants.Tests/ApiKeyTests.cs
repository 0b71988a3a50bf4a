using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed class ApiKeyTests(TenantFixture fixture) : IClassFixture<TenantFixture>
{
    private TenantHost Host => fixture.Host;

    [Fact]
    public async Task Create_WithDefaults_ShowsTheSecretOnceAndWorks()
    {
        Reply created = (await Host.PostAsync("/api/v1/keys", new { name = "ci" })).Expect(201);
        string secret = created["key"];
        Assert.StartsWith("maap_", secret);
        Assert.StartsWith(created["prefix"], secret);
        Assert.Equal("active", created["status"]);
        Assert.Equal("no-store", created.Headers.CacheControl!.ToString());
        string[] scopes = [.. created.Json.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()!)];
        Assert.Contains("models:invoke", scopes);
        Assert.DoesNotContain("keys:manage", scopes);
        Assert.DoesNotContain("users:manage", scopes);

        Reply one = (await Host.GetAsync($"/api/v1/keys/{created["id"]}")).Expect(200);
        Assert.DoesNotContain(secret, one.Text);
        Assert.False(one.Json.TryGetProperty("key", out _));
        Assert.False(one.Json.TryGetProperty("secretHash", out _));
        Reply me = (await Host.GetAsync("/api/v1/me", secret)).Expect(200);
        Assert.Equal(created["id"], me["apiKeyId"]);
    }

    [Theory]
    [InlineData("""{"name":""}""", "name")]
    [InlineData("""{}""", "name")]
    [InlineData("""{"name":"x","scopes":["root"]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":[]}""", "scopes")]
    [InlineData("""{"name":"x","expiresAt":"2001-01-01T00:00:00Z"}""", "expiresAt")]
    [InlineData("""{"name":"x","expiresAt":"2099-01-01T00:00:00Z","expiresInDays":1}""", "expiresAt")]
    [InlineData("""{"name":"x","expiresInDays":0}""", "expiresInDays")]
    [InlineData("""{"name":"x","requestsPerMinute":0}""", "requestsPerMinute")]
    [InlineData("""{"name":"x","burst":5}""", "burst")]
    public async Task Create_Invalid_NamesTheMember(string body, string member)
    {
        Reply reply = (await Host.PostAsync("/api/v1/keys", body)).Expect(400, "validation_failed");
        Assert.True(reply.Json.GetProperty("errors").TryGetProperty(member, out _), reply.Text);
    }

    [Fact]
    public async Task Create_UnknownMember_IsRefusedByName()
    {
        Reply reply = (await Host.PostAsync("/api/v1/keys", """{"name":"x","scope":["models:invoke"]}""")).Expect(400, "invalid_json");
        Assert.Contains("'scope'", reply["detail"]);
        Assert.DoesNotContain("MultiAgent", reply.Text);
    }

    [Fact]
    public async Task Create_MoreScopesThanTheCaller_IsRefused()
    {
        string limited = (await Host.PostAsync("/api/v1/keys", new { name = "limited", scopes = new[] { "keys:manage", "agents:read" } })).Expect(201)["key"];
        (await Host.PostAsync("/api/v1/keys", new { name = "more", scopes = new[] { "models:invoke" } }, limited)).Expect(403, "missing_scope");
        Reply same = (await Host.PostAsync("/api/v1/keys", new { name = "default" }, limited)).Expect(201);
        Assert.Equal(["agents:read"], same.Json.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));

        string developer = (await Host.NewUserAsync("developer")).Access;
        (await Host.PostAsync("/api/v1/keys", new { name = "x", scopes = new[] { "users:manage" } }, developer)).Expect(403, "missing_scope");
        string viewer = (await Host.NewUserAsync("viewer")).Access;
        (await Host.PostAsync("/api/v1/keys", new { name = "x" }, viewer)).Expect(403, "missing_scope");
    }

    [Fact]
    public async Task Rotate_KeyWithMoreScopesThanTheCaller_IsRefused()
    {
        string limited = (await Host.PostAsync("/api/v1/keys", new { name = "limited", scopes = new[] { "keys:manage" } })).Expect(201)["key"];
        string strong = (await Host.PostAsync("/api/v1/keys", new { name = "strong", scopes = new[] { "users:manage" } })).Expect(201)["id"];
        (await Host.PostAsync($"/api/v1/keys/{strong}/rotate", new { }, limited)).Expect(403, "missing_scope");
    }

    [Fact]
    public async Task Revoke_UsedKey_TakesEffectWithTheNextRequest()
    {
        Reply created = (await Host.PostAsync("/api/v1/keys", new { name = "short" })).Expect(201);
        (await Host.GetAsync("/api/v1/me", created["key"])).Expect(200);
        (await Host.DeleteAsync($"/api/v1/keys/{created["id"]}")).Expect(204);
        (await Host.GetAsync("/api/v1/me", created["key"])).Expect(401, "invalid_api_key");
        Reply shown = (await Host.GetAsync($"/api/v1/keys/{created["id"]}")).Expect(200);
        Assert.Equal("revoked", shown["status"]);
        (await Host.DeleteAsync($"/api/v1/keys/{created["id"]}")).Expect(204);
    }

    [Fact]
    public async Task Revoke_WhileInUse_NoRequestAfterTheAnswerPasses()
    {
        Reply created = (await Host.PostAsync("/api/v1/keys", new { name = "busy" })).Expect(201);
        int revoked = 0;
        Task[] users = [.. Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            while (true)
            {
                bool after = Volatile.Read(ref revoked) == 1;
                Reply reply = await Host.GetAsync("/api/v1/me", created["key"]);
                if (after) Assert.Equal(401, reply.Status);
                if (reply.Status == 401) return;
            }
        }))];
        (await Host.DeleteAsync($"/api/v1/keys/{created["id"]}")).Expect(204);
        Volatile.Write(ref revoked, 1);
        await Task.WhenAll(users).WaitAsync(Eventually.Deadline);
    }

    [Fact]
    public async Task List_ManyKeys_PagesWithoutGapOrRepetition()
    {
        (string _, string _, string key) = await Host.NewTenantAsync();
        for (int i = 0; i < 6; i++) (await Host.PostAsync("/api/v1/keys", new { name = $"k{i}" }, key)).Expect(201);
        var seen = new List<string>();
        string? cursor = null;
        do
        {
            Reply page = (await Host.GetAsync($"/api/v1/keys?limit=3{(cursor is null ? "" : $"&cursor={cursor}")}", key)).Expect(200);
            Assert.DoesNotContain("\"key\"", page.Text);
            seen.AddRange(page.Json.GetProperty("data").EnumerateArray().Select(k => k.GetProperty("id").GetString()!));
            cursor = page.Json.TryGetProperty("nextCursor", out JsonElement next) ? next.GetString() : null;
        }
        while (cursor is not null);
        Assert.Equal(7, seen.Count);
        Assert.Equal(seen.OrderDescending(StringComparer.Ordinal), seen);
        (await Host.GetAsync("/api/v1/keys?limit=0", key)).Expect(400, "validation_failed");
        (await Host.GetAsync("/api/v1/keys?cursor=%21", key)).Expect(400, "validation_failed");
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("key_00000000000000000000000000")]
    public async Task Unknown_Id_IsNotFound(string id)
    {
        (await Host.GetAsync($"/api/v1/keys/{id}")).Expect(404, "not_found");
        (await Host.DeleteAsync($"/api/v1/keys/{id}")).Expect(404, "not_found");
        (await Host.PostAsync($"/api/v1/keys/{id}/rotate", new { })).Expect(404, "not_found");
    }

    [Fact]
    public async Task Create_FiftyAtOnceWithOneIdempotencyKey_MakesOneKey()
    {
        string name = TenantHost.NewName("once");
        Reply[] replies = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Host.PostAsync("/api/v1/keys", new { name }, TenantHost.BootstrapKey, ("Idempotency-Key", name))));
        Assert.All(replies, r => r.Expect(201));
        Assert.Single(replies.Select(r => r["key"]).Distinct());
        Assert.Equal(49, replies.Count(r => r.Headers.Contains("Idempotency-Replayed")));
        Reply list = (await Host.GetAsync("/api/v1/keys?limit=200")).Expect(200);
        Assert.Single(list.Json.GetProperty("data").EnumerateArray(), k => k.GetProperty("name").GetString() == name);

        (await Host.PostAsync("/api/v1/keys", new { name = name + "x" }, TenantHost.BootstrapKey, ("Idempotency-Key", name))).Expect(409, "idempotency_key_reused");
        // The answer holds a secret: nobody else gets it by the same key and body.
        string other = (await Host.PostAsync("/api/v1/keys", new { name = "other", scopes = new[] { "keys:manage" } })).Expect(201)["key"];
        (await Host.PostAsync("/api/v1/keys", new { name }, other, ("Idempotency-Key", name))).Expect(409, "idempotency_key_reused");
        (string _, string _, string otherTenant) = await Host.NewTenantAsync();
        Reply theirs = (await Host.PostAsync("/api/v1/keys", new { name }, otherTenant, ("Idempotency-Key", name))).Expect(201);
        Assert.NotEqual(replies[0]["key"], theirs["key"]);
    }

    [Fact]
    public async Task KeyLimits_UsedUp_RefuseTheKeyAndNotTheTenant()
    {
        string limited = (await Host.PostAsync("/api/v1/keys", new { name = "slow", requestsPerMinute = 1, burst = 2 })).Expect(201)["key"];
        (await Host.GetAsync("/api/v1/me", limited)).Expect(200);
        (await Host.GetAsync("/api/v1/me", limited)).Expect(200);
        Reply refused = (await Host.GetAsync("/api/v1/me", limited)).Expect(429, "rate_limit_exceeded");
        Assert.True(refused.Headers.RetryAfter!.Delta > TimeSpan.Zero);
        Assert.Equal("0", refused.Headers.GetValues("RateLimit-Remaining").Single());
        (await Host.GetAsync("/api/v1/me")).Expect(200);
    }

    [Fact]
    public async Task Expiry_AndRotation_FollowTheClock()
    {
        using var folder = new TempFolder();
        var time = new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await using TenantHost host = await TenantHost.StartAsync(folder.Path, time);
        string dying = (await host.PostAsync("/api/v1/keys", new { name = "a day", expiresInDays = 1 })).Expect(201)["key"];
        Reply old = (await host.PostAsync("/api/v1/keys", new { name = "rotated", scopes = new[] { "agents:read" } })).Expect(201);
        (await host.GetAsync("/api/v1/me", dying)).Expect(200);

        Reply renewed = (await host.PostAsync($"/api/v1/keys/{old["id"]}/rotate", new { overlapSeconds = 3600 })).Expect(201);
        Assert.NotEqual(old["key"], renewed["key"]);
        Assert.Equal(["agents:read"], renewed.Json.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        (await host.GetAsync("/api/v1/me", old["key"])).Expect(200);
        (await host.GetAsync("/api/v1/me", renewed["key"])).Expect(200);
        time.Advance(TimeSpan.FromHours(1));
        (await host.GetAsync("/api/v1/me", old["key"])).Expect(401);
        (await host.GetAsync("/api/v1/me", renewed["key"])).Expect(200);
        (await host.PostAsync($"/api/v1/keys/{old["id"]}/rotate", new { })).Expect(409, "conflict");
        (await host.PostAsync($"/api/v1/keys/{renewed["id"]}/rotate", new { overlapSeconds = -1 })).Expect(400, "validation_failed");
        Reply now = (await host.PostAsync($"/api/v1/keys/{renewed["id"]}/rotate", new { overlapSeconds = 0 })).Expect(201);
        (await host.GetAsync("/api/v1/me", renewed["key"])).Expect(401);
        (await host.GetAsync("/api/v1/me", now["key"])).Expect(200);

        time.Advance(TimeSpan.FromHours(23));
        (await host.GetAsync("/api/v1/me", dying)).Expect(401, "invalid_api_key");
    }

    [Fact]
    public async Task LastUsed_AfterAMinute_IsShown()
    {
        using var folder = new TempFolder();
        var time = new FakeTimeProvider(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));
        await using TenantHost host = await TenantHost.StartAsync(folder.Path, time);
        Reply key = (await host.PostAsync("/api/v1/keys", new { name = "used" })).Expect(201);
        (await host.GetAsync("/api/v1/me", key["key"])).Expect(200);
        await Eventually.TrueAsync(async () =>
        {
            time.Advance(TimeSpan.FromMinutes(1));
            return (await host.GetAsync($"/api/v1/keys/{key["id"]}")).Json.TryGetProperty("lastUsedAt", out JsonElement at) && at.GetDateTimeOffset().Year == 2030;
        }, "the last use");
    }
}
