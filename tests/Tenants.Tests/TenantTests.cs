using System.Text.Json;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed class TenantTests(TenantFixture fixture) : IClassFixture<TenantFixture>
{
    private TenantHost Host => fixture.Host;

    [Fact]
    public async Task OwnTenant_CanBeReadByAllAndRenamedByOwners()
    {
        (string id, string slug, string key) = await Host.NewTenantAsync();
        string viewerEmail = $"viewer@{slug}.example";
        (await Host.PostAsync("/api/v1/users", new { email = viewerEmail, name = "v", role = "viewer", password = "a-long-enough-password" }, key)).Expect(201);
        string viewer = (await Host.LoginAsync(viewerEmail, "a-long-enough-password")).Expect(200)["accessToken"];
        Assert.Equal(id, (await Host.GetAsync("/api/v1/tenant", viewer)).Expect(200)["id"]);
        (await Host.PatchAsync("/api/v1/tenant", new { name = "Mine" }, viewer)).Expect(403, "missing_scope");
        Assert.Equal("Mine", (await Host.PatchAsync("/api/v1/tenant", new { name = " Mine " }, key)).Expect(200)["name"]);
        (await Host.PatchAsync("/api/v1/tenant", new { name = "" }, key)).Expect(400, "validation_failed");
        (await Host.PatchAsync("/api/v1/tenant", new { name = "x", limits = new { requestsPerMinute = 9 } }, key)).Expect(400, "invalid_json");
    }

    [Fact]
    public async Task Operator_CreatesATenantThatWorks()
    {
        string slug = TenantHost.NewName("new");
        Reply created = (await Host.OperatorAsync(HttpMethod.Post, "/api/v1/tenants",
            new { slug, name = "New", ownerEmail = $"boss@{slug}.example", limits = new { requestsPerMinute = 600, burst = 77, concurrentRuns = 3 } })).Expect(201);
        (await Host.LoginAsync($"boss@{slug}.example", created["ownerPassword"])).Expect(200);
        Reply me = (await Host.GetAsync("/api/v1/me", created["apiKey"])).Expect(200);
        Assert.Equal(slug, me["tenantSlug"]);
        Assert.Equal("600", me.Headers.GetValues("RateLimit-Limit").Single());
        Assert.Equal("76", me.Headers.GetValues("RateLimit-Remaining").Single());
        string id = created.Json.GetProperty("tenant").GetProperty("id").GetString()!;
        Reply shown = (await Host.OperatorAsync(HttpMethod.Get, $"/api/v1/tenants/{id}")).Expect(200);
        Assert.Equal(3, shown.Json.GetProperty("limits").GetProperty("concurrentRuns").GetInt32());
        Assert.DoesNotContain("maap_", shown.Text);
        Reply list = (await Host.OperatorAsync(HttpMethod.Get, "/api/v1/tenants?limit=200")).Expect(200);
        Assert.Contains(list.Json.GetProperty("data").EnumerateArray(), t => t.GetProperty("slug").GetString() == slug);
        Assert.Contains(list.Json.GetProperty("data").EnumerateArray(), t => t.GetProperty("slug").GetString() == "demo");

        (await Host.OperatorAsync(HttpMethod.Post, "/api/v1/tenants", new { slug, name = "Again", ownerEmail = "x@y.example" })).Expect(409, "conflict");
        (await Host.OperatorAsync(HttpMethod.Get, "/api/v1/tenants/ten_00000000000000000000000000")).Expect(404, "not_found");
    }

    [Fact]
    public async Task Operator_CreatesWithAKey_OnceHoweverOften()
    {
        string slug = TenantHost.NewName("once");
        var body = new { slug, name = "Once", ownerEmail = $"owner@{slug}.example" };
        Task<Reply> Post(object content, string token = TenantHost.OperatorToken) =>
            Host.SendAsync(HttpMethod.Post, "/api/v1/tenants", null, content, ("X-Operator-Token", token), ("Idempotency-Key", slug));

        Reply[] replies = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => Post(body)));

        Assert.All(replies, r => r.Expect(201));
        Assert.Single(replies.Select(r => r.Text).Distinct());
        (await Post(new { slug, name = "Other", ownerEmail = $"owner@{slug}.example" })).Expect(409, "idempotency_key_reused");
        // The answer holds secrets: without the token nobody gets it, and nobody can take the operator's key.
        (await Post(body, "operator-token-of-somebody-else-000000")).Expect(401, "invalid_credentials");
    }

    [Theory]
    [InlineData("""{"slug":"Upper","name":"n","ownerEmail":"a@b.example"}""", "slug")]
    [InlineData("""{"slug":"-x","name":"n","ownerEmail":"a@b.example"}""", "slug")]
    [InlineData("""{"slug":"x\n","name":"n","ownerEmail":"a@b.example"}""", "slug")]
    [InlineData("""{"slug":"x","ownerEmail":"a@b.example"}""", "name")]
    [InlineData("""{"slug":"x","name":"n"}""", "ownerEmail")]
    [InlineData("""{"slug":"x","name":"n","ownerEmail":"a@b.example","ownerPassword":"short"}""", "ownerPassword")]
    [InlineData("""{"slug":"x","name":"n","ownerEmail":"a@b.example","limits":{"burst":0}}""", "limits")]
    public async Task Operator_InvalidTenant_NamesTheMember(string body, string member)
    {
        Reply reply = (await Host.OperatorAsync(HttpMethod.Post, "/api/v1/tenants", body)).Expect(400, "validation_failed");
        Assert.True(reply.Json.GetProperty("errors").TryGetProperty(member, out _), reply.Text);
    }

    [Fact]
    public async Task Operator_Suspends_EveryCredentialStopsAtOnce()
    {
        (string id, string slug, string key) = await Host.NewTenantAsync();
        Reply login = (await Host.LoginAsync($"owner@{slug}.example")).Expect(200);
        (await Host.GetAsync("/api/v1/me", key)).Expect(200);
        (await Host.GetAsync("/api/v1/me", login["accessToken"])).Expect(200);
        Assert.Equal("suspended", (await Host.OperatorAsync(HttpMethod.Patch, $"/api/v1/tenants/{id}", new { status = "suspended" })).Expect(200)["status"]);
        (await Host.GetAsync("/api/v1/me", key)).Expect(401);
        (await Host.GetAsync("/api/v1/me", login["accessToken"])).Expect(401);
        (await Host.RefreshAsync(login["refreshToken"])).Expect(401, "invalid_token");
        (await Host.LoginAsync($"owner@{slug}.example")).Expect(401, "invalid_credentials");
        (await Host.GetAsync("/api/v1/me")).Expect(200);
        (await Host.OperatorAsync(HttpMethod.Patch, $"/api/v1/tenants/{id}", new { status = "active" })).Expect(200);
        (await Host.GetAsync("/api/v1/me", key)).Expect(200);
    }

    [Fact]
    public async Task Operator_ChangesLimits_TheNextRequestHasThem()
    {
        (string id, string _, string key) = await Host.NewTenantAsync();
        (await Host.GetAsync("/api/v1/me", key)).Expect(200);
        (await Host.OperatorAsync(HttpMethod.Patch, $"/api/v1/tenants/{id}", new { limits = new { requestsPerMinute = 120 } })).Expect(200);
        Assert.Equal("120", (await Host.GetAsync("/api/v1/me", key)).Headers.GetValues("RateLimit-Limit").Single());
        (await Host.OperatorAsync(HttpMethod.Patch, $"/api/v1/tenants/{id}", new { limits = new { } })).Expect(200);
        Assert.Equal("6000", (await Host.GetAsync("/api/v1/me", key)).Headers.GetValues("RateLimit-Limit").Single());
        (await Host.OperatorAsync(HttpMethod.Patch, $"/api/v1/tenants/{id}", new { status = "gone" })).Expect(400, "validation_failed");
    }

    [Fact]
    public async Task Operator_WithoutTheToken_IsRefused()
    {
        foreach (HttpMethod method in (HttpMethod[])[HttpMethod.Get, HttpMethod.Post])
        {
            (await Host.OperatorAsync(method, "/api/v1/tenants", method == HttpMethod.Post ? new { slug = "x", name = "x", ownerEmail = "x@y.example" } : null, "wrong")).Expect(401, "invalid_credentials");
            // A tenant's owner is not the operator.
            (await Host.SendAsync(method, "/api/v1/tenants", TenantHost.BootstrapKey, method == HttpMethod.Post ? new { slug = "x", name = "x", ownerEmail = "x@y.example" } : null)).Expect(401, "invalid_credentials");
        }
    }

    [Fact]
    public async Task Operator_NotConfigured_DoesNotExist()
    {
        using var folder = new TempFolder();
        await using TenantHost host = await TenantHost.StartAsync(folder.Path, null, ("MAAP_OPERATOR_TOKEN", null));
        (await host.OperatorAsync(HttpMethod.Get, "/api/v1/tenants")).Expect(404, "unknown_url");
        (await host.OperatorAsync(HttpMethod.Get, "/api/v1/tenants", null, "")).Expect(404, "unknown_url");
    }

    [Fact]
    public async Task OpenApi_ShowsScopesAndNoEntities()
    {
        Reply document = (await Host.GetAsync("/openapi/v1.json", null)).Expect(200);
        JsonElement paths = document.Json.GetProperty("paths");
        Assert.Contains("keys:manage", paths.GetProperty("/api/v1/keys").GetProperty("post").GetProperty("description").GetString());
        Assert.DoesNotContain("passwordHash", document.Text);
        Assert.DoesNotContain("secretHash", document.Text);
    }
}
