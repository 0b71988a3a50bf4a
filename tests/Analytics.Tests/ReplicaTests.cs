using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Clients;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting;

namespace MultiAgent.Analytics.Tests;

/// <summary>The service with a streaming standby as its read replica.</summary>
public sealed class ReplicaTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private TestPostgres? _server;
    private PostgresStandby? _standby;
    private WebApplication? _app;
    private HttpClient _client = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        _server = await TestPostgres.StartAsync();
        TestDatabase database = await _server.NewDatabaseAsync();
        _standby = await _server.StartStandbyAsync();
        var settings = new Dictionary<string, string?>(database.Settings)
        {
            ["DATABASE_REPLICA_URL"] = _server.Url(database.Name, "maap_app", TestPostgres.AppPassword, _standby.Port),
            ["MAAP_DATA_DIR"] = _folder.Path,
            ["Logging:LogLevel:Default"] = "None",
        };
        _app = PlatformHost.Build("test", ["--urls", "http://127.0.0.1:0"], [new AnalyticsModule(), new OneCaller()], builder => builder.Configuration.AddInMemoryCollection(settings));
        await PlatformHost.StartAsync(_app);
        _client = new HttpClient { BaseAddress = new Uri(_app.Urls.First()), DefaultRequestHeaders = { { "Authorization", "Bearer any-key" } } };
    }

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        if (_app is not null) await _app.DisposeAsync();
        if (_standby is not null) await _standby.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Lists_AreReadFromTheStandby_AndFromThePrimaryWhileItIsGone()
    {
        string first = await StartJourneyAsync();
        await Eventually.TrueAsync(async () => (await ListAsync()).SequenceEqual([first]), "the first journey reaches the standby");

        // It lags: a write goes to the primary all the same, and so does the look at what was just written.
        await _standby!.SqlAsync("select pg_wal_replay_pause()");
        await Eventually.TrueAsync(async () => (await _standby.SqlAsync("select pg_get_wal_replay_pause_state()")).Trim() == "paused", "the standby stands still");
        string second = await StartJourneyAsync();
        Assert.Equal([first], await ListAsync());
        Assert.Equal(second, (await _client.GetJsonAsync($"/api/v1/journeys/{second}")).GetProperty("id").GetString());
        Assert.Equal("ok", await ReplicaHealthAsync());

        await _standby.SqlAsync("select pg_wal_replay_resume()");
        await Eventually.TrueAsync(async () => (await ListAsync()).SequenceEqual([second, first]), "the standby has caught up");

        // It is gone: the primary answers at once, with everything.
        await _standby.StopAsync();
        string third = await StartJourneyAsync();
        Assert.Equal([third, second, first], await ListAsync());
        await Eventually.TrueAsync(async () => await ReplicaHealthAsync() == "degraded", "the health report tells of it");
        Assert.True((await _client.GetAsync("/health/ready")).IsSuccessStatusCode);

        // Back again, it is asked again.
        await _standby.RestartAsync();
        await Eventually.TrueAsync(async () => await ReplicaHealthAsync() == "ok", "the standby is found again");
        await Eventually.TrueAsync(async () => (await _standby.SqlAsync("select pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()")).Trim() == "t", "the standby has caught up");
        await _standby.SqlAsync("select pg_wal_replay_pause()");
        await Eventually.TrueAsync(async () => (await _standby.SqlAsync("select pg_get_wal_replay_pause_state()")).Trim() == "paused", "the standby stands still");
        string fourth = await StartJourneyAsync();
        Assert.DoesNotContain(fourth, await ListAsync());
        await _standby.SqlAsync("select pg_wal_replay_resume()");
        await Eventually.TrueAsync(async () => (await ListAsync()).SequenceEqual([fourth, third, second, first]), "everything is on the standby");
    }

    private async Task<string> StartJourneyAsync()
    {
        using HttpResponseMessage response = await _client.PostAsJsonAsync("/api/v1/journeys", new { type = "replica-test" });
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.ReadJsonAsync()).GetProperty("id").GetString()!;
    }

    private async Task<string[]> ListAsync() => [.. (await _client.GetJsonAsync("/api/v1/journeys")).GetProperty("data").EnumerateArray().Select(j => j.GetProperty("id").GetString()!)];

    private async Task<string?> ReplicaHealthAsync()
    {
        using HttpResponseMessage response = await _client.GetAsync("/health");
        return (await response.ReadJsonAsync()).GetProperty("dependencies").EnumerateArray().Single(d => d.GetProperty("name").GetString() == "postgres-replica:analytics-service").GetProperty("status").GetString();
    }

    /// <summary>Takes every key for one tenant's.</summary>
    private sealed class OneCaller : IServiceModule, ITenantDirectory
    {
        private static readonly Caller Somebody = new() { TenantId = "ten_1", TenantSlug = "one", ApiKeyId = "key_1", Scopes = Scopes.All };

        public string Name => "callers";

        public void AddServices(IHostApplicationBuilder builder) => builder.Services.AddSingleton<ITenantDirectory>(this);

        public void MapEndpoints(IEndpointRouteBuilder routes)
        {
        }

        public ValueTask<Caller?> FindByApiKeyAsync(string presentedKey, CancellationToken cancellationToken) => new(Somebody);

        public ValueTask<Caller?> FindByAccessTokenAsync(string token, CancellationToken cancellationToken) => new((Caller?)null);
    }
}
