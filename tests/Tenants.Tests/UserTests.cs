using System.Text.Json;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed class UserTests(TenantFixture fixture) : IClassFixture<TenantFixture>
{
    private TenantHost Host => fixture.Host;

    private static string Email() => $"{TenantHost.NewName("user")}@example.com";

    [Fact]
    public async Task Create_WithoutPassword_ShowsAGeneratedOneOnce()
    {
        string email = Email();
        Reply created = (await Host.PostAsync("/api/v1/users", new { email, name = "Ann", role = "developer" })).Expect(201);
        string password = created["initialPassword"];
        (await Host.LoginAsync(email, password)).Expect(200);
        Reply shown = (await Host.GetAsync($"/api/v1/users/{created["id"]}")).Expect(200);
        Assert.Equal("developer", shown["role"]);
        Assert.DoesNotContain("assword", shown.Text);
        Reply list = (await Host.GetAsync("/api/v1/users?limit=200")).Expect(200);
        Assert.Contains(list.Json.GetProperty("data").EnumerateArray(), u => u.GetProperty("email").GetString() == email);
        Assert.DoesNotContain("assword", list.Text);
    }

    [Fact]
    public async Task Create_GivenPassword_IsNotEchoed()
    {
        Reply created = (await Host.PostAsync("/api/v1/users", new { email = Email(), name = "Ann", role = "viewer", password = "a-long-enough-password" })).Expect(201);
        Assert.DoesNotContain("assword", created.Text);
    }

    [Fact]
    public async Task Create_SameEmailInOtherCase_IsAConflict()
    {
        string email = Email();
        (await Host.PostAsync("/api/v1/users", new { email, name = "Ann", role = "viewer" })).Expect(201);
        (await Host.PostAsync("/api/v1/users", new { email = email.ToUpperInvariant(), name = "Ann", role = "viewer" })).Expect(409, "conflict");
    }

    [Theory]
    [InlineData("""{"email":"nobody","name":"n","role":"viewer"}""", "email")]
    [InlineData("""{"email":"a@b@c","name":"n","role":"viewer"}""", "email")]
    [InlineData("""{"email":"a@b.example","name":" ","role":"viewer"}""", "name")]
    [InlineData("""{"email":"a@b.example","name":"n","role":"root"}""", "role")]
    [InlineData("""{"email":"a@b.example","name":"n","role":"0"}""", "role")]
    [InlineData("""{"email":"a@b.example","name":"n","role":"owner,admin"}""", "role")]
    [InlineData("""{"email":"a@b.example","name":"n","role":"viewer","password":"elevenchars"}""", "password")]
    [InlineData("""{"email":"a@b.example","name":"n","role":"viewer","password":"password1234"}""", "password")]
    [InlineData("""{"email":"a@b.example","name":"n","role":"viewer","password":"aaaaaaaaaaaaaaaa"}""", "password")]
    [InlineData("""{"email":"long.enough@b.example","name":"n","role":"viewer","password":"Long.Enough@b.example"}""", "password")]
    public async Task Create_Invalid_NamesTheMember(string body, string member)
    {
        Reply reply = (await Host.PostAsync("/api/v1/users", body)).Expect(400, "validation_failed");
        Assert.True(reply.Json.GetProperty("errors").TryGetProperty(member, out _), reply.Text);
    }

    [Fact]
    public async Task Create_TooLongPassword_IsRefused() =>
        (await Host.PostAsync("/api/v1/users", new { email = Email(), name = "n", role = "viewer", password = string.Concat(Enumerable.Repeat("abcd", 33)) })).Expect(400, "validation_failed");

    [Fact]
    public async Task Admin_CannotReachAnOwner()
    {
        string admin = (await Host.NewUserAsync("admin")).Access;
        var owner = await Host.NewUserAsync("owner");
        (await Host.PostAsync("/api/v1/users", new { email = Email(), name = "n", role = "owner" }, admin)).Expect(403, "missing_scope");
        (await Host.PatchAsync($"/api/v1/users/{owner.Id}", new { role = "viewer" }, admin)).Expect(403, "missing_scope");
        (await Host.PatchAsync($"/api/v1/users/{owner.Id}", new { status = "disabled" }, admin)).Expect(403, "missing_scope");
        (await Host.DeleteAsync($"/api/v1/users/{owner.Id}", admin)).Expect(403, "missing_scope");
        var other = await Host.NewUserAsync("viewer");
        (await Host.PatchAsync($"/api/v1/users/{other.Id}", new { role = "owner" }, admin)).Expect(403, "missing_scope");
        (await Host.PatchAsync($"/api/v1/users/{other.Id}", new { role = "admin" }, admin)).Expect(200);
    }

    [Fact]
    public async Task Key_WithUsersManageOnly_CannotGiveARole()
    {
        string key = (await Host.PostAsync("/api/v1/keys", new { name = "u", scopes = new[] { "users:manage" } })).Expect(201)["key"];
        (await Host.PostAsync("/api/v1/users", new { email = Email(), name = "n", role = "viewer" }, key)).Expect(403, "missing_scope");
    }

    [Theory]
    [InlineData("developer")]
    [InlineData("analyst")]
    [InlineData("viewer")]
    public async Task WeakRole_CannotManageUsers(string role)
    {
        string token = (await Host.NewUserAsync(role)).Access;
        (await Host.GetAsync("/api/v1/users", token)).Expect(403, "missing_scope");
        (await Host.PostAsync("/api/v1/users", new { email = Email(), name = "n", role = "viewer" }, token)).Expect(403, "missing_scope");
    }

    [Fact]
    public async Task LastOwner_CannotBeDemotedDisabledOrDeleted()
    {
        (string _, string slug, string key) = await Host.NewTenantAsync();
        string owner = (await Host.GetAsync("/api/v1/users", key)).Json.GetProperty("data")[0].GetProperty("id").GetString()!;
        (await Host.PatchAsync($"/api/v1/users/{owner}", new { role = "admin" }, key)).Expect(409, "last_owner");
        (await Host.PatchAsync($"/api/v1/users/{owner}", new { status = "disabled" }, key)).Expect(409, "last_owner");
        (await Host.DeleteAsync($"/api/v1/users/{owner}", key)).Expect(409, "last_owner");
        (await Host.PatchAsync($"/api/v1/users/{owner}", new { name = "Renamed" }, key)).Expect(200);

        Reply second = (await Host.PostAsync("/api/v1/users", new { email = $"second@{slug}.example", name = "n", role = "owner" }, key)).Expect(201);
        // Both at once: one of the two has to stay.
        Reply[] replies = await Task.WhenAll(
            Host.PatchAsync($"/api/v1/users/{owner}", new { role = "viewer" }, key),
            Host.PatchAsync($"/api/v1/users/{second["id"]}", new { role = "viewer" }, key));
        Assert.Single(replies, r => r.Status == 200);
        Assert.Single(replies, r => r.Code == "last_owner");
    }

    [Fact]
    public async Task DisabledOwner_DoesNotCountAsOwner()
    {
        (string _, string slug, string key) = await Host.NewTenantAsync();
        string owner = (await Host.GetAsync("/api/v1/users", key)).Json.GetProperty("data")[0].GetProperty("id").GetString()!;
        Reply second = (await Host.PostAsync("/api/v1/users", new { email = $"second@{slug}.example", name = "n", role = "owner" }, key)).Expect(201);
        (await Host.PatchAsync($"/api/v1/users/{second["id"]}", new { status = "disabled" }, key)).Expect(200);
        (await Host.DeleteAsync($"/api/v1/users/{owner}", key)).Expect(409, "last_owner");
    }

    [Theory]
    [InlineData("""{"status":"disabled"}""")]
    [InlineData("""{"role":"viewer"}""")]
    public async Task Change_OfAccess_EndsSessionsAtOnce(string change)
    {
        var user = await Host.NewUserAsync("developer");
        (await Host.GetAsync("/api/v1/me", user.Access)).Expect(200);
        (await Host.PatchAsync($"/api/v1/users/{user.Id}", change)).Expect(200);
        (await Host.GetAsync("/api/v1/me", user.Access)).Expect(401);
        (await Host.RefreshAsync(user.Refresh)).Expect(401, "invalid_token");
    }

    [Fact]
    public async Task Disable_ThenEnable_AllowsLoginAgain()
    {
        var user = await Host.NewUserAsync("developer");
        (await Host.PatchAsync($"/api/v1/users/{user.Id}", new { status = "disabled" })).Expect(200);
        (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(401, "invalid_credentials");
        (await Host.PatchAsync($"/api/v1/users/{user.Id}", new { status = "active" })).Expect(200);
        (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(200);
    }

    [Fact]
    public async Task Delete_User_EndsEverythingOfIt()
    {
        var user = await Host.NewUserAsync("developer");
        (await Host.GetAsync("/api/v1/me", user.Access)).Expect(200);
        (await Host.DeleteAsync($"/api/v1/users/{user.Id}")).Expect(204);
        (await Host.GetAsync("/api/v1/me", user.Access)).Expect(401);
        (await Host.RefreshAsync(user.Refresh)).Expect(401, "invalid_token");
        (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(401, "invalid_credentials");
        (await Host.GetAsync($"/api/v1/users/{user.Id}")).Expect(404, "not_found");
        (await Host.DeleteAsync($"/api/v1/users/{user.Id}")).Expect(404, "not_found");
    }

    [Fact]
    public async Task Create_RepeatedWithOneIdempotencyKey_MakesOneUser()
    {
        var body = new { email = Email(), name = "Once", role = "viewer" };
        Reply first = (await Host.PostAsync("/api/v1/users", body, TenantHost.BootstrapKey, ("Idempotency-Key", body.email))).Expect(201);
        Reply again = (await Host.PostAsync("/api/v1/users", body, TenantHost.BootstrapKey, ("Idempotency-Key", body.email))).Expect(201);
        Assert.Equal(first["initialPassword"], again["initialPassword"]);
    }

    [Fact]
    public async Task Me_ShowsUserOrKey()
    {
        var user = await Host.NewUserAsync("analyst");
        Reply me = (await Host.GetAsync("/api/v1/me", user.Access)).Expect(200);
        Assert.Equal("demo", me["tenantSlug"]);
        Assert.Equal(user.Email, me.Json.GetProperty("user").GetProperty("email").GetString());
        Assert.Contains(me.Json.GetProperty("scopes").EnumerateArray(), s => s.GetString() == "analytics:read");
        Reply key = (await Host.GetAsync("/api/v1/me")).Expect(200);
        Assert.False(key.Json.TryGetProperty("user", out JsonElement _));
        (await Host.GetAsync("/api/v1/me", null)).Expect(401);
    }

    [Fact]
    public async Task ChangePassword_EndsAllSessions()
    {
        var user = await Host.NewUserAsync("viewer");
        Reply elsewhere = (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(200);
        (await Host.PostAsync("/api/v1/me/password", new { current = "wrong", @new = "another-good-password" }, user.Access)).Expect(403, "invalid_credentials");
        (await Host.PostAsync("/api/v1/me/password", new { current = "a-long-enough-password", @new = "short" }, user.Access)).Expect(400, "validation_failed");
        (await Host.PostAsync("/api/v1/me/password", new { current = "a-long-enough-password", @new = "another-good-password" }, TenantHost.BootstrapKey)).Expect(403);
        (await Host.PostAsync("/api/v1/me/password", new { current = "a-long-enough-password", @new = "another-good-password" }, user.Access)).Expect(204);
        (await Host.GetAsync("/api/v1/me", user.Access)).Expect(401);
        (await Host.GetAsync("/api/v1/me", elsewhere["accessToken"])).Expect(401);
        (await Host.RefreshAsync(user.Refresh)).Expect(401);
        (await Host.RefreshAsync(elsewhere["refreshToken"])).Expect(401);
        (await Host.LoginAsync(user.Email, "a-long-enough-password")).Expect(401, "invalid_credentials");
        (await Host.LoginAsync(user.Email, "another-good-password")).Expect(200);
    }
}
