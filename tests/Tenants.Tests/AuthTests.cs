using Microsoft.Data.Sqlite;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed class AuthTests(TenantFixture fixture) : IClassFixture<TenantFixture>
{
    private TenantHost Host => fixture.Host;

    [Fact]
    public async Task Login_RightPassword_GivesTokens()
    {
        Reply login = (await Host.LoginAsync("OWNER@demo.local ")).Expect(200);
        Assert.Equal("Bearer", login["tokenType"]);
        Assert.Equal(900, login.Json.GetProperty("expiresIn").GetInt32());
        Assert.Equal("owner", login.Json.GetProperty("user").GetProperty("role").GetString());
        Assert.Equal("no-store", login.Headers.CacheControl!.ToString());
        (await Host.GetAsync("/api/v1/tenant", login["accessToken"])).Expect(200);
    }

    [Fact]
    public async Task Login_UnknownAddressOrWrongPassword_IsOneAnswer()
    {
        var user = await Host.NewUserAsync("viewer");
        Reply wrong = (await Host.LoginAsync(user.Email, "not-the-password")).Expect(401, "invalid_credentials");
        Reply unknown = (await Host.LoginAsync("nobody@example.com", "not-the-password")).Expect(401, "invalid_credentials");
        Assert.Equal(wrong["detail"], unknown["detail"]);
        Assert.Equal(wrong["title"], unknown["title"]);
    }

    [Theory]
    [InlineData("""{"email":"a@b.example"}""")]
    [InlineData("""{"password":"x"}""")]
    [InlineData("""{}""")]
    public async Task Login_MissingMembers_IsInvalid(string body) => (await Host.PostAsync("/api/v1/auth/login", body, null)).Expect(400, "validation_failed");

    [Fact]
    public async Task Login_HugePassword_IsJustWrong() =>
        (await Host.LoginAsync("huge@example.com", new string('x', 1_000_000))).Expect(401, "invalid_credentials");

    [Fact]
    public async Task Login_EmailInTwoTenants_NeedsTheTenant()
    {
        (string _, string slug, string key) = await Host.NewTenantAsync();
        string email = $"{TenantHost.NewName("both")}@example.com";
        (await Host.PostAsync("/api/v1/users", new { email, name = "n", role = "viewer", password = "a-long-enough-password" })).Expect(201);
        (await Host.PostAsync("/api/v1/users", new { email, name = "n", role = "viewer", password = "quite-another-password" }, key)).Expect(201);
        Reply unclear = (await Host.LoginAsync(email, "a-long-enough-password")).Expect(401, "invalid_credentials");
        Assert.Contains("tenant", unclear["detail"]);
        Reply here = (await Host.LoginAsync(email, "a-long-enough-password", "demo")).Expect(200);
        Assert.Equal("demo", (await Host.GetAsync("/api/v1/me", here["accessToken"]))["tenantSlug"]);
        Reply there = (await Host.LoginAsync(email, "quite-another-password", slug)).Expect(200);
        Assert.Equal(slug, (await Host.GetAsync("/api/v1/me", there["accessToken"]))["tenantSlug"]);
        (await Host.LoginAsync(email, "quite-another-password", "demo")).Expect(401);
    }

    [Fact]
    public async Task Refresh_Rotates_AndASecondUseEndsTheSession()
    {
        Reply login = (await Host.LoginAsync()).Expect(200);
        Reply second = (await Host.RefreshAsync(login["refreshToken"])).Expect(200);
        Assert.NotEqual(login["refreshToken"], second["refreshToken"]);
        (await Host.GetAsync("/api/v1/me", second["accessToken"])).Expect(200);
        Reply third = (await Host.RefreshAsync(second["refreshToken"])).Expect(200);

        (await Host.RefreshAsync(login["refreshToken"])).Expect(401, "refresh_token_reused");
        (await Host.RefreshAsync(third["refreshToken"])).Expect(401, "invalid_token");
        (await Host.GetAsync("/api/v1/me", third["accessToken"])).Expect(401);
        (await Host.GetAsync("/api/v1/me", second["accessToken"])).Expect(401);
    }

    [Fact]
    public async Task Refresh_ReuseInOneSession_LeavesOthersAlone()
    {
        Reply one = (await Host.LoginAsync()).Expect(200);
        Reply other = (await Host.LoginAsync()).Expect(200);
        (await Host.RefreshAsync(one["refreshToken"])).Expect(200);
        (await Host.RefreshAsync(one["refreshToken"])).Expect(401, "refresh_token_reused");
        (await Host.GetAsync("/api/v1/me", other["accessToken"])).Expect(200);
        (await Host.RefreshAsync(other["refreshToken"])).Expect(200);
    }

    [Fact]
    public async Task Refresh_FiftyAtOnce_OneSucceedsAndTheSessionEnds()
    {
        Reply login = (await Host.LoginAsync()).Expect(200);
        Reply[] replies = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Host.RefreshAsync(login["refreshToken"])));
        Reply winner = Assert.Single(replies, r => r.Status == 200);
        Assert.Equal(49, replies.Count(r => r is { Status: 401, Code: "refresh_token_reused" }));
        (await Host.RefreshAsync(winner["refreshToken"])).Expect(401, "invalid_token");
        (await Host.GetAsync("/api/v1/me", winner["accessToken"])).Expect(401);
    }

    [Theory]
    [InlineData("")]
    [InlineData("maaprt_unknown")]
    public async Task Refresh_UnknownToken_IsRefused(string token) => Assert.Contains((await Host.RefreshAsync(token)).Status, new[] { 400, 401 });

    [Fact]
    public async Task Logout_EndsTheSessionAtOnce()
    {
        Reply login = (await Host.LoginAsync()).Expect(200);
        (await Host.GetAsync("/api/v1/me", login["accessToken"])).Expect(200);
        (await Host.PostAsync("/api/v1/auth/logout", new { refreshToken = login["refreshToken"] }, null)).Expect(204);
        (await Host.GetAsync("/api/v1/me", login["accessToken"])).Expect(401);
        (await Host.RefreshAsync(login["refreshToken"])).Expect(401, "invalid_token");
        (await Host.PostAsync("/api/v1/auth/logout", new { refreshToken = "maaprt_unknown" }, null)).Expect(204);
    }

    [Fact]
    public async Task Login_HashWithWeakerSettings_IsRenewed()
    {
        var user = await Host.NewUserAsync("viewer");
        // Identity's version 2 format: PBKDF2 with SHA-1 and 1 000 rounds.
        byte[] salt = new byte[16];
        byte[] key = System.Security.Cryptography.Rfc2898DeriveBytes.Pbkdf2("a-long-enough-password", salt, 1000, System.Security.Cryptography.HashAlgorithmName.SHA1, 32);
        string weak = Convert.ToBase64String([0, .. salt, .. key]);
        await ExecuteAsync("UPDATE users SET password_hash = $hash WHERE id = $id", ("$hash", weak), ("$id", user.Id));
        (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(200);
        string renewed = (string)(await ExecuteAsync("SELECT password_hash FROM users WHERE id = $id", ("$id", user.Id)))!;
        Assert.NotEqual(weak, renewed);
        Assert.Equal(1, Convert.FromBase64String(renewed)[0]);
        (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(200);
    }

    [Fact]
    public async Task Revoke_Key_IsToldToOthersThroughTheOutbox()
    {
        Reply key = (await Host.PostAsync("/api/v1/keys", new { name = "told" })).Expect(201);
        (await Host.DeleteAsync($"/api/v1/keys/{key["id"]}")).Expect(204);
        await Testing.Eventually.TrueAsync(() => EventCount(key["id"]) == 1, "the event of the revoked key");
    }

    private long EventCount(string text)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(fixture.Folder, "events.db")};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT count(*) FROM events WHERE subject = 'tenant.caller.changed' AND CAST(data AS TEXT) LIKE '%' || $text || '%'";
        command.Parameters.AddWithValue("$text", text);
        return (long)command.ExecuteScalar()!;
    }

    private async Task<object?> ExecuteAsync(string sql, params (string Name, string Value)[] parameters)
    {
        if (TestStorage.IsPostgres) return await (await TestStorage.DatabaseAsync(fixture.Folder)).ExecuteAsync("tenant_service", sql, parameters);
        await using var connection = new SqliteConnection($"Data Source={Path.Combine(fixture.Folder, "tenant-service.db")};Pooling=False");
        connection.Open();
        await using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        foreach ((string name, string value) in parameters) command.Parameters.AddWithValue(name, value);
        return await command.ExecuteScalarAsync();
    }
}
