using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

/// <summary>Several replicas of the service on one PostgreSQL database, each with a data folder of its own.</summary>
public sealed class ReplicaTests : IAsyncLifetime
{
    private readonly List<TempFolder> _folders = [];
    private readonly List<TenantHost> _hosts = [];
    private TestPostgres? _server;
    private TestDatabase? _database;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        _server = await TestPostgres.SharedAsync();
        _database = await _server.NewEmptyDatabaseAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (TenantHost host in _hosts) await host.DisposeAsync();
        foreach (TempFolder folder in _folders) folder.Dispose();
        if (_database is not null) await _database.DisposeAsync();
    }

    [Fact]
    public async Task Replicas_ThatStartAtOnceOnAnEmptyDatabase_MakeOneDemoTenant_AndTrustEachOther()
    {
        TenantHost[] hosts = await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => StartAsync(_database!)));
        Assert.Equal(1L, await _database!.ScalarAsync("SELECT count(*) FROM tenant_service.tenants"));
        Assert.Equal(1L, await _database.ScalarAsync("SELECT count(*) FROM tenant_service.signing_keys"));

        // A token of one is good at every other, and a session that ends at one is over everywhere.
        Reply login = (await hosts[0].LoginAsync()).Expect(200);
        foreach (TenantHost host in hosts) (await host.GetAsync("/api/v1/me", login["accessToken"])).Expect(200);
        Reply rotated = (await hosts[1].RefreshAsync(login["refreshToken"])).Expect(200);
        (await hosts[2].RefreshAsync(login["refreshToken"])).Expect(401);
        (await hosts[0].RefreshAsync(rotated["refreshToken"])).Expect(401);

        // A key that was made at one, with its secret in the answer, is answered again by another, which decrypts it.
        (string, string) idempotent = ("Idempotency-Key", "the-same");
        Reply made = (await hosts[0].PostAsync("/api/v1/keys", new { name = "once" }, headers: idempotent)).Expect(201);
        Reply again = (await hosts[1].PostAsync("/api/v1/keys", new { name = "once" }, headers: idempotent)).Expect(201);
        Assert.Equal(made["key"], again["key"]);
        (await hosts[2].GetAsync("/api/v1/me", made["key"])).Expect(200);
    }

    [Fact]
    public async Task Owners_WhoDemoteEachOtherAtTwoReplicas_LeaveOne()
    {
        TenantHost first = await StartAsync(_database!), second = await StartAsync(_database!);
        for (int i = 0; i < 5; i++)
        {
            (_, _, string key) = await first.NewTenantAsync();
            Reply owners = (await first.GetAsync("/api/v1/users", key)).Expect(200);
            string one = owners.Json.GetProperty("data")[0].GetProperty("id").GetString()!;
            string other = (await first.PostAsync("/api/v1/users", new { email = $"{TenantHost.NewName("o")}@example.com", name = "Other", role = "owner" }, key)).Expect(201)["id"];
            Reply[] replies = await Task.WhenAll(first.PatchAsync($"/api/v1/users/{one}", new { role = "viewer" }, key), second.PatchAsync($"/api/v1/users/{other}", new { role = "viewer" }, key));
            Assert.Equal([200, 409], replies.Select(r => r.Status).Order());
        }
    }

    [Fact]
    public async Task Database_ThatGoesAway_Answers503_AndIsFoundAgain()
    {
        await using TestPostgres own = await TestPostgres.StartAsync();
        TestDatabase database = await own.NewDatabaseAsync();
        TenantHost host = await StartAsync(database);
        (await host.GetAsync("/health")).Expect(200);
        await own.StopAsync();
        Reply refused = (await host.GetAsync("/api/v1/keys")).Expect(503);
        Assert.Equal("storage_unavailable", refused["code"]);
        Assert.True(refused.Headers.Contains("Retry-After"));
        Reply health = null!;
        await Eventually.TrueAsync(async () => (health = await host.GetAsync("/health")).Status == 503, "the health report tells of it");
        Assert.Contains(health.Json.GetProperty("dependencies").EnumerateArray(), d => d.GetProperty("name").GetString() == "postgres:tenant-service" && d.GetProperty("status").GetString() == "down");
        (await host.GetAsync("/health/live")).Expect(200);
        await own.RestartAsync();
        string last = "";
        try
        {
            await Eventually.TrueAsync(async () => (last = $"{await host.GetAsync("/api/v1/keys")}").Contains("Status = 200", StringComparison.Ordinal), "the database is found again");
        }
        catch (TimeoutException)
        {
            Assert.Fail($"The last answer was {last}; {(await host.GetAsync("/health")).Text}");
        }
        await Eventually.TrueAsync(async () => (await host.GetAsync("/health")).Status == 200, "the health report is good again");
        await host.DisposeAsync();
        _hosts.Remove(host);
    }

    [Fact]
    public async Task Superuser_IsRefused_AndAsksForNoMoreThanOneLine()
    {
        MultiAgent.Data.StartupException refused = await Assert.ThrowsAsync<MultiAgent.Data.StartupException>(() => StartAsync(_database!, ("DATABASE_URL", _database!.SuperUrl)));
        Assert.Contains("superuser", refused.Message);
        Assert.Contains("maap_app", refused.Message);
    }

    [Fact]
    public async Task Text_WithANul_Is400()
    {
        TenantHost host = await StartAsync(_database!);
        Reply reply = (await host.PostAsync("/api/v1/keys", """{"name":"a\u0000b"}""")).Expect(400);
        Assert.Equal("invalid_request", reply["code"]);
    }

    private async Task<TenantHost> StartAsync(TestDatabase database, params (string, string?)[] settings)
    {
        var folder = new TempFolder();
        lock (_folders) _folders.Add(folder);
        TenantHost host = await TenantHost.StartAsync(folder.Path, null, [.. database.Settings.Select(s => (s.Key, s.Value)), ("Data:MaxConnections", "10"), ("Limits:RequestsPerMinute", "1000000"), ("Limits:Burst", "1000000"), .. settings]);
        lock (_hosts) _hosts.Add(host);
        return host;
    }
}
