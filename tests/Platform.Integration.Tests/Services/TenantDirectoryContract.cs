using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>What <see cref="ITenantDirectory"/> promises, wherever the tenant service is.</summary>
public abstract class TenantDirectoryContract
{
    // A second is the promise; a loaded machine may be late.
    private static readonly TimeSpan Promise = TimeSpan.FromSeconds(8);

    protected abstract TestPlatform Platform { get; }

    private ITenantDirectory Directory => Platform.App.Services.GetRequiredService<ITenantDirectory>();

    [Fact]
    public async Task Key_ThatIsKnown_IsACallerWithAllThatItMayDo()
    {
        TestTenant tenant = Platform.AddTenant($"limited-{Guid.NewGuid():N}"[..20], requestsPerMinute: 77, burst: 7);
        string key = TenantRows.AddKey(Platform.DataFolder, tenant.Id, "agents:read runs:write", requestsPerMinute: 5, burst: 2, expiresAt: TimeProvider.System.GetUtcNow().AddHours(1));

        Caller? caller = await Directory.FindByApiKeyAsync(key, CancellationToken.None);

        Assert.NotNull(caller);
        Assert.Equal(tenant.Id, caller.TenantId);
        Assert.StartsWith("limited-", caller.TenantSlug, StringComparison.Ordinal);
        Assert.StartsWith("key_", caller.ApiKeyId!, StringComparison.Ordinal);
        Assert.Equal(Scopes.AgentsRead | Scopes.RunsWrite, caller.Scopes);
        Assert.Equal((77, 7, null), (caller.Limits!.RequestsPerMinute, caller.Limits.Burst, caller.Limits.ConcurrentRuns));
        Assert.Equal((5, 2), (caller.KeyLimits!.RequestsPerMinute, caller.KeyLimits.Burst));
        // It is kept; once more it may be forgotten, when the news of what was just made come.
        await Eventually.TrueAsync(async () => ReferenceEquals(await Directory.FindByApiKeyAsync(key, CancellationToken.None), await Directory.FindByApiKeyAsync(key, CancellationToken.None)), "the same caller twice");
    }

    [Theory]
    [InlineData("maap_the-key-of-nobody-at-all-0123456789")]
    [InlineData("short")]
    [InlineData("")]
    public async Task Key_ThatNobodyHas_IsNobody(string key) => Assert.Null(await Directory.FindByApiKeyAsync(key, CancellationToken.None));

    [Fact]
    public async Task Key_OfEachTenant_IsThatTenantsAlone()
    {
        TestTenant one = Platform.AddTenant($"one-{Guid.NewGuid():N}"[..20]), two = Platform.AddTenant($"two-{Guid.NewGuid():N}"[..20]);

        Caller?[] callers = await Task.WhenAll(((TestTenant[])[one, two, one, two]).Select(t => Directory.FindByApiKeyAsync(t.Key, CancellationToken.None).AsTask()));

        Assert.Equal([one.Id, two.Id, one.Id, two.Id], callers.Select(c => c!.TenantId));
    }

    [Fact]
    public async Task Key_WhoseTimeIsUp_EndsToTheMoment()
    {
        DateTimeOffset end = TimeProvider.System.GetUtcNow().AddSeconds(2);
        string key = TenantRows.AddKey(Platform.DataFolder, Platform.Demo.Id, expiresAt: end);
        Assert.NotNull(await Directory.FindByApiKeyAsync(key, CancellationToken.None));

        await Eventually.TrueAsync(async () => await Directory.FindByApiKeyAsync(key, CancellationToken.None) is null, "the key has ended");

        TimeSpan late = TimeProvider.System.GetUtcNow() - end;
        Assert.True(late > TimeSpan.FromMilliseconds(-5) && late < Promise, $"It ended {late} after its time.");
    }

    [Fact]
    public async Task Key_ThatIsRevoked_EndsWithinASecond()
    {
        (string id, string key) = await NewKeyAsync();
        Assert.NotNull(await Directory.FindByApiKeyAsync(key, CancellationToken.None));

        using HttpResponseMessage revoked = await Platform.Client.DeleteAsync($"/api/v1/keys/{id}");

        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
        await EndsAsync(() => Directory.FindByApiKeyAsync(key, CancellationToken.None));
    }

    [Fact]
    public async Task Tenant_ThatIsSuspended_EndsWithinASecond()
    {
        TestTenant tenant = Platform.AddTenant($"gone-{Guid.NewGuid():N}"[..20]);
        Assert.NotNull(await Directory.FindByApiKeyAsync(tenant.Key, CancellationToken.None));

        using var request = new HttpRequestMessage(HttpMethod.Patch, $"/api/v1/tenants/{tenant.Id}") { Content = HttpTestExtensions.Json("""{"status":"suspended"}""") };
        request.Headers.Add("X-Operator-Token", TestPlatform.OperatorToken);
        using HttpResponseMessage suspended = await Platform.ClientFor(null).SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, suspended.StatusCode);
        await EndsAsync(() => Directory.FindByApiKeyAsync(tenant.Key, CancellationToken.None));
    }

    [Fact]
    public async Task AccessToken_OfAUser_IsACallerUntilTheUserLogsOut()
    {
        JsonElement login = await Platform.ClientFor(null).PostJsonAsync("/api/v1/auth/login", $$"""{"email":"owner@demo.local","password":"{{TestPlatform.DemoPassword}}","tenant":"demo"}""");
        string token = login.GetProperty("accessToken").GetString()!;

        Caller? caller = await Directory.FindByAccessTokenAsync(token, CancellationToken.None);
        Assert.Equal((Platform.Demo.Id, null, Scopes.All), (caller!.TenantId, caller.ApiKeyId, caller.Scopes));
        Assert.StartsWith("usr_", caller.UserId!, StringComparison.Ordinal);
        using HttpResponseMessage left = await Platform.ClientFor(null).PostAsync("/api/v1/auth/logout", $$"""{"refreshToken":"{{login.GetProperty("refreshToken").GetString()}}"}""");

        Assert.True(left.IsSuccessStatusCode);
        await EndsAsync(() => Directory.FindByAccessTokenAsync(token, CancellationToken.None));
    }

    [Theory]
    [InlineData("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.")]
    [InlineData("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZG1pbiJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("not a token at all")]
    public async Task AccessToken_ThatWeDidNotSign_IsNobody(string token) => Assert.Null(await Directory.FindByAccessTokenAsync(token, CancellationToken.None));

    [Fact]
    public async Task Caller_WhoLeaves_IsNotWaitedFor()
    {
        string key = TenantRows.AddKey(Platform.DataFolder, Platform.Demo.Id);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await Directory.FindByApiKeyAsync(key, new CancellationToken(canceled: true)));

        Assert.NotNull(await Directory.FindByApiKeyAsync(key, CancellationToken.None));
    }

    private async Task<(string Id, string Key)> NewKeyAsync()
    {
        JsonElement made = await Platform.Client.PostJsonAsync("/api/v1/keys", """{"name":"short-lived","scopes":["agents:read"]}""", HttpStatusCode.Created);
        return (made.GetProperty("id").GetString()!, made.GetProperty("key").GetString()!);
    }

    private static async Task EndsAsync(Func<ValueTask<Caller?>> find)
    {
        long started = Stopwatch.GetTimestamp();
        await Eventually.TrueAsync(async () => await find() is null, "the credential has ended");
        TimeSpan took = Stopwatch.GetElapsedTime(started);
        Assert.True(took < Promise, $"It worked for {took} more.");
    }
}

/// <summary>In one process.</summary>
public sealed class LocalTenantDirectoryTests : TenantDirectoryContract, IAsyncLifetime
{
    private TestPlatform _platform = null!;

    protected override TestPlatform Platform => _platform;

    public async ValueTask InitializeAsync() => _platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["MAAP_OPERATOR_TOKEN"] = TestPlatform.OperatorToken });

    public ValueTask DisposeAsync() => _platform.DisposeAsync();
}

/// <summary>From the gateway to the tenant service in another process.</summary>
[Collection(ServicesApart.Name)]
public sealed class RemoteTenantDirectoryTests(ServicesFixture fixture) : TenantDirectoryContract
{
    protected override TestPlatform Platform => fixture.Platform;

    [Fact]
    public void Directory_OfTheGateway_IsTheClient() =>
        Assert.Equal("TenantDirectoryClient", Platform.App.Services.GetRequiredService<ITenantDirectory>().GetType().Name);
}
