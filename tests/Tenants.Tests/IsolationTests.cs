using System.Text.Json;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;
using Xunit;

namespace MultiAgent.Tenants.Tests;

/// <summary>Two tenants on every endpoint of the service.</summary>
public sealed class IsolationTests(TenantFixture fixture) : IClassFixture<TenantFixture>
{
    private TenantHost Host => fixture.Host;

    // Every endpoint that names a thing by id; the second test fails when one is added and not listed here.
    private static readonly (string Method, string Route, object? Body)[] ById =
    [
        ("GET", "/api/v1/keys/{id}", null),
        ("DELETE", "/api/v1/keys/{id}", null),
        ("POST", "/api/v1/keys/{id}/rotate", new { }),
        ("GET", "/api/v1/users/{id}", null),
        ("PATCH", "/api/v1/users/{id}", new { name = "Stolen" }),
        ("DELETE", "/api/v1/users/{id}", null),
    ];

    // Endpoints without an id act on the credential's own tenant; who sees what is tested below.
    private static readonly string[] OwnTenant =
    [
        "GET /api/v1/keys", "POST /api/v1/keys", "GET /api/v1/users", "POST /api/v1/users", "GET /api/v1/me", "POST /api/v1/me/password", "GET /api/v1/tenant", "PATCH /api/v1/tenant",
    ];

    [Fact]
    public async Task ById_OfAnotherTenant_IsNotFoundAndUntouched()
    {
        (string _, string _, string intruder) = await Host.NewTenantAsync();
        Reply key = (await Host.PostAsync("/api/v1/keys", new { name = "victim" })).Expect(201);
        Reply user = (await Host.PostAsync("/api/v1/users", new { email = $"{TenantHost.NewName("victim")}@example.com", name = "Victim", role = "viewer" })).Expect(201);
        foreach ((string method, string route, object? body) in ById)
        {
            string id = route.Contains("/keys/", StringComparison.Ordinal) ? key["id"] : user["id"];
            Reply reply = await Host.SendAsync(new HttpMethod(method), route.Replace("{id}", id), intruder, body);
            Assert.True(reply is { Status: 404, Code: "not_found" }, $"{method} {route}: {reply.Status} {reply.Text}");
        }
        Assert.Equal("active", (await Host.GetAsync($"/api/v1/keys/{key["id"]}")).Expect(200)["status"]);
        Assert.Equal("Victim", (await Host.GetAsync($"/api/v1/users/{user["id"]}")).Expect(200)["name"]);
        (await Host.GetAsync("/api/v1/me", key["key"])).Expect(200);
    }

    [Fact]
    public void Endpoints_AllOfThem_AreCoveredHere()
    {
        IEnumerable<string> endpoints = Host.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.Metadata.GetMetadata<ServiceName>()?.Value == TenantModule.Service && e.Metadata.GetMetadata<RequiredScope>() is not null)
            .SelectMany(e => e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(m => $"{m} {e.RoutePattern.RawText!.TrimEnd('/')}"));
        Assert.Equal(ById.Select(e => $"{e.Method} {e.Route}").Concat(OwnTenant).Order(StringComparer.Ordinal), endpoints.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Lists_ShowOnlyTheOwnTenant()
    {
        (string id, string slug, string key) = await Host.NewTenantAsync();
        Reply keys = (await Host.GetAsync("/api/v1/keys?limit=200", key)).Expect(200);
        Assert.Single(keys.Json.GetProperty("data").EnumerateArray());
        Reply users = (await Host.GetAsync("/api/v1/users?limit=200", key)).Expect(200);
        Assert.Equal($"owner@{slug}.example", Assert.Single(users.Json.GetProperty("data").EnumerateArray()).GetProperty("email").GetString());
        Assert.Equal(id, (await Host.GetAsync("/api/v1/tenant", key)).Expect(200)["id"]);
        Assert.Equal(id, (await Host.GetAsync("/api/v1/me", key)).Expect(200)["tenantId"]);
        Reply demo = (await Host.GetAsync("/api/v1/users?limit=200")).Expect(200);
        Assert.DoesNotContain($"owner@{slug}.example", demo.Text);
    }

    [Fact]
    public async Task Cursor_OfAnotherTenant_ShowsNothingOfIt()
    {
        (string _, string _, string key) = await Host.NewTenantAsync();
        for (int i = 0; i < 2; i++) (await Host.PostAsync("/api/v1/keys", new { name = "x" })).Expect(201);
        string cursor = (await Host.GetAsync("/api/v1/keys?limit=1")).Expect(200)["nextCursor"];
        string own = (await Host.GetAsync("/api/v1/keys", key)).Json.GetProperty("data")[0].GetProperty("id").GetString()!;
        Reply page = (await Host.GetAsync($"/api/v1/keys?cursor={cursor}", key)).Expect(200);
        Assert.All(page.Json.GetProperty("data").EnumerateArray(), k => Assert.Equal(own, k.GetProperty("id").GetString()));
    }

    [Fact]
    public async Task Writes_GoToTheOwnTenant()
    {
        (string _, string slug, string key) = await Host.NewTenantAsync();
        Reply created = (await Host.PostAsync("/api/v1/keys", new { name = "mine" }, key)).Expect(201);
        Assert.Equal(slug, (await Host.GetAsync("/api/v1/me", created["key"])).Expect(200)["tenantSlug"]);
        (await Host.GetAsync($"/api/v1/keys/{created["id"]}")).Expect(404);
        Reply user = (await Host.PostAsync("/api/v1/users", new { email = $"u@{slug}.example", name = "n", role = "viewer" }, key)).Expect(201);
        (await Host.GetAsync($"/api/v1/users/{user["id"]}")).Expect(404);
        string before = (await Host.GetAsync("/api/v1/tenant")).Expect(200)["name"];
        (await Host.PatchAsync("/api/v1/tenant", new { name = "Renamed" }, key)).Expect(200);
        Assert.Equal(before, (await Host.GetAsync("/api/v1/tenant")).Expect(200)["name"]);
    }

    [Fact]
    public async Task Endpoints_WithoutACredential_AnswerUnauthorized()
    {
        foreach ((string method, string route) in ById.Select(e => (e.Method, e.Route.Replace("{id}", "key_00000000000000000000000000")))
            .Concat(OwnTenant.Select(o => (o.Split(' ')[0], o.Split(' ')[1]))))
        {
            Reply reply = await Host.SendAsync(new HttpMethod(method), route, null, method is "GET" or "DELETE" ? null : new { });
            Assert.True(reply.Status == 401, $"{method} {route}: {reply.Status}");
            (await Host.SendAsync(new HttpMethod(method), route, "maap_unknown-unknown-unknown-unknown-unknown", method is "GET" or "DELETE" ? null : new { })).Expect(401, "invalid_api_key");
        }
    }
}
