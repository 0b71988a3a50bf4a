using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Data;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Tenants.Tests;

public sealed class AccessTokenTests : IDisposable
{
    private const string Secret = "0123456789abcdef0123456789abcdef-jwt-secret";

    private readonly TempFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Token_HasTheClaimsOfTheSession()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time, ("JWT_SECRET", Secret));
        Reply login = (await host.LoginAsync()).Expect(200);
        JsonObject claims = Part(login["accessToken"], 1), header = Part(login["accessToken"], 0);
        Assert.Equal("HS256", (string?)header["alg"]);
        Assert.Equal(login.Json.GetProperty("user").GetProperty("id").GetString(), (string?)claims["sub"]);
        Assert.StartsWith("ten_", (string?)claims["tid"]);
        Assert.StartsWith("ses_", (string?)claims["sid"]);
        Assert.Equal("owner", (string?)claims["role"]);
        Assert.Equal("maap", (string?)claims["iss"]);
        Assert.Equal("maap-api", (string?)claims["aud"]);
        Assert.Equal(_time.GetUtcNow().ToUnixTimeSeconds(), (long?)claims["iat"]);
        Assert.Equal(_time.GetUtcNow().ToUnixTimeSeconds() + 900, (long?)claims["exp"]);
    }

    [Fact]
    public async Task Forgeries_AreRefused()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time, ("JWT_SECRET", Secret));
        (string otherTenant, string _, string _) = await host.NewTenantAsync();
        string good = (await host.LoginAsync()).Expect(200)["accessToken"];
        JsonObject header = Part(good, 0), claims = Part(good, 1);
        (await host.GetAsync("/api/v1/me", Sign(header, claims, Secret))).Expect(200);

        string[] parts = good.Split('.');
        var forgeries = new Dictionary<string, string>
        {
            ["other signature"] = Sign(header, claims, "another-secret-another-secret-another"),
            ["no signature"] = $"{parts[0]}.{parts[1]}.",
            ["alg none"] = Join(With(header, "alg", "none"), claims) + ".",
            ["alg none, signed"] = Sign(With(header, "alg", "none"), claims, Secret),
            ["alg HS512"] = Sign(With(header, "alg", "HS512"), claims, Secret, HMACSHA512.HashData),
            ["alg RS256"] = Sign(With(header, "alg", "RS256"), claims, Secret),
            ["unknown kid"] = Sign(With(header, "kid", "sig_unknown"), claims, Secret),
            ["no kid"] = Sign(With(header, "kid", null), claims, Secret),
            ["other tenant"] = Sign(header, With(claims, "tid", otherTenant), Secret),
            ["other user"] = Sign(header, With(claims, "sub", "usr_00000000000000000000000000"), Secret),
            ["other session"] = Sign(header, With(claims, "sid", "ses_00000000000000000000000000"), Secret),
            ["no session"] = Sign(header, With(claims, "sid", null), Secret),
            ["no expiry"] = Sign(header, With(claims, "exp", null), Secret),
            ["expired"] = Sign(header, With(claims, "exp", _time.GetUtcNow().ToUnixTimeSeconds() - 31), Secret),
            ["not yet"] = Sign(header, With(claims, "nbf", _time.GetUtcNow().ToUnixTimeSeconds() + 31), Secret),
            ["other issuer"] = Sign(header, With(claims, "iss", "elsewhere"), Secret),
            ["other audience"] = Sign(header, With(claims, "aud", "elsewhere"), Secret),
            ["garbage"] = "eyJ.eyJ.eyJ",
            ["garbage claims"] = $"{parts[0]}.eyJ.{parts[2]}",
        };
        foreach ((string what, string token) in forgeries)
        {
            Reply reply = await host.GetAsync("/api/v1/me", token);
            Assert.True(reply.Status == 401, $"{what}: {reply.Status} {reply.Text}");
        }
        (await host.GetAsync("/api/v1/me", good)).Expect(200);
    }

    [Fact]
    public async Task Role_InTheToken_IsNotBelieved()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time, ("JWT_SECRET", Secret));
        string viewer = (await host.NewUserAsync("viewer")).Access;
        string forged = Sign(Part(viewer, 0), With(Part(viewer, 1), "role", "owner"), Secret);
        (await host.GetAsync("/api/v1/users", forged)).Expect(403, "missing_scope");
    }

    [Fact]
    public async Task Token_AfterItsTime_IsRefusedAlsoWhenCached()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        Reply login = (await host.LoginAsync()).Expect(200);
        (await host.GetAsync("/api/v1/me", login["accessToken"])).Expect(200);
        _time.Advance(TimeSpan.FromSeconds(900));
        (await host.GetAsync("/api/v1/me", login["accessToken"])).Expect(200);
        _time.Advance(TimeSpan.FromSeconds(30));
        (await host.GetAsync("/api/v1/me", login["accessToken"])).Expect(401);
        (await host.GetAsync("/api/v1/me", login["accessToken"])).Expect(401);
        (await host.RefreshAsync(login["refreshToken"])).Expect(200);
    }

    [Fact]
    public async Task Refresh_AfterThirtyDays_IsRefused()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        Reply login = (await host.LoginAsync()).Expect(200);
        _time.Advance(TimeSpan.FromDays(30));
        (await host.RefreshAsync(login["refreshToken"])).Expect(401, "invalid_token");
    }

    [Fact]
    public async Task SigningKeys_Rotate_AndTheOldOneVerifiesUntilItsTokensEnd()
    {
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path, _time);
        _time.Advance(TimeSpan.FromDays(30) - TimeSpan.FromMinutes(1));
        string old = (await host.LoginAsync()).Expect(200)["accessToken"];
        _time.Advance(TimeSpan.FromMinutes(2));
        string renewed = (await host.LoginAsync()).Expect(200)["accessToken"];
        Assert.NotEqual((string?)Part(old, 0)["kid"], (string?)Part(renewed, 0)["kid"]);
        (await host.GetAsync("/api/v1/me", old)).Expect(200);
        (await host.GetAsync("/api/v1/me", renewed)).Expect(200);
        Reply health = (await host.GetAsync("/api/v1/tenant-service/health", null)).Expect(200);
        Assert.Contains("2 valid", health.Text);
        _time.Advance(TimeSpan.FromMinutes(14));
        (await host.GetAsync("/api/v1/me", old)).Expect(401);
        (await host.GetAsync("/api/v1/me", renewed)).Expect(200);
    }

    [Fact]
    public async Task StoredKeys_SurviveARestart()
    {
        string token;
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path, _time)) token = (await host.LoginAsync()).Expect(200)["accessToken"];
        await using TenantHost again = await TenantHost.StartAsync(_folder.Path, _time);
        (await again.GetAsync("/api/v1/me", token)).Expect(200);
    }

    [Fact]
    public async Task StoredKeys_WithoutTheirKeyRing_AreReplaced()
    {
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path)) (await host.LoginAsync()).Expect(200);
        if (TestStorage.IsPostgres) await (await TestStorage.DatabaseAsync(_folder.Path)).ScalarAsync("DELETE FROM host.data_protection_keys");
        else Directory.Delete(Path.Combine(_folder.Path, "keys"), true);
        await using TenantHost again = await TenantHost.StartAsync(_folder.Path);
        string token = (await again.LoginAsync()).Expect(200)["accessToken"];
        (await again.GetAsync("/api/v1/me", token)).Expect(200);
    }

    [Fact]
    public async Task PreviousSecret_StillVerifies()
    {
        const string next = "the-next-secret-0123456789-0123456789";
        string token;
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path, _time, ("JWT_SECRET", Secret))) token = (await host.LoginAsync()).Expect(200)["accessToken"];
        await using (TenantHost host = await TenantHost.StartAsync(_folder.Path, _time, ("JWT_SECRET", next), ("JWT_SECRET_PREVIOUS", Secret)))
        {
            (await host.GetAsync("/api/v1/me", token)).Expect(200);
            string renewed = (await host.LoginAsync()).Expect(200)["accessToken"];
            Assert.Equal(renewed, Sign(Part(renewed, 0), Part(renewed, 1), next));
        }
        await using TenantHost last = await TenantHost.StartAsync(_folder.Path, _time, ("JWT_SECRET", next));
        (await last.GetAsync("/api/v1/me", token)).Expect(401);
    }

    [Theory]
    [InlineData("JWT_SECRET", "too-short")]
    [InlineData("JWT_SECRET_PREVIOUS", "0123456789abcdef0123456789abcdef")]
    [InlineData("MAAP_BOOTSTRAP_API_KEY", "too-short")]
    [InlineData("MAAP_BOOTSTRAP_ADMIN_PASSWORD", "too-short")]
    [InlineData("MAAP_OPERATOR_TOKEN", "too-short")]
    public async Task Start_WithAnUnusableSecret_SaysWhichAndLeavesNothing(string setting, string value)
    {
        StartupException e = await Assert.ThrowsAsync<StartupException>(() => TenantHost.StartAsync(_folder.Path, null, (setting, value)));
        Assert.Contains(setting, e.Message);
        Assert.DoesNotContain(value, e.Message);
        Assert.DoesNotContain('\n', e.Message);
        await using TenantHost host = await TenantHost.StartAsync(_folder.Path);
        Assert.Contains("First start", host.StartedText());
    }

    private static JsonObject Part(string token, int index) => JsonNode.Parse(Base64Url.DecodeFromChars(token.Split('.')[index]))!.AsObject();

    private static JsonObject With(JsonObject source, string member, JsonNode? value)
    {
        JsonObject copy = source.DeepClone().AsObject();
        if (value is null) copy.Remove(member);
        else copy[member] = value;
        return copy;
    }

    private static string Join(JsonObject header, JsonObject claims) =>
        $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header.ToJsonString()))}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims.ToJsonString()))}";

    private static string Sign(JsonObject header, JsonObject claims, string secret, Func<byte[], byte[], byte[]>? mac = null)
    {
        string body = Join(header, claims);
        return $"{body}.{Base64Url.EncodeToString((mac ?? HMACSHA256.HashData)(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(body)))}";
    }
}
