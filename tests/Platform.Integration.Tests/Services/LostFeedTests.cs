using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>What becomes of revoked keys when nobody can tell of them.</summary>
public sealed class LostFeedTests : IAsyncLifetime
{
    private const int Keys = 5;

    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(NatsServer.Missing is not null, NatsServer.Missing ?? "");
        _platform = await TestPlatform.StartAsync(apart: true);
    }

    public ValueTask DisposeAsync() => _platform is null ? ValueTask.CompletedTask : _platform.DisposeAsync();

    [Fact]
    public async Task Key_RevokedAtTheMomentThatTheFeedIsLost_EndsWithinASecond()
    {
        var keys = new List<(string Id, HttpClient Client)>();
        for (int i = 0; i < Keys; i++)
        {
            JsonElement made = await _platform.Client.PostJsonAsync("/api/v1/keys", """{"name":"short-lived","scopes":["agents:read"]}""", HttpStatusCode.Created);
            keys.Add((made.GetProperty("id").GetString()!, _platform.ClientFor(made.GetProperty("key").GetString())));
        }
        await Eventually.TrueAsync(() => _platform.App.Services.GetRequiredService<ICallerChangeFeed>().HearsOthers, "the feed is heard");
        foreach ((_, HttpClient client) in keys) await client.GetJsonAsync("/api/v1/agents");

        await _platform.Nats.KillAsync();
        foreach ((string id, HttpClient client) in keys)
        {
            using HttpResponseMessage revoked = await _platform.Client.DeleteAsync($"/api/v1/keys/{id}");
            Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
            long started = Stopwatch.GetTimestamp();
            await Eventually.TrueAsync(async () =>
            {
                using HttpResponseMessage response = await client.GetAsync("/api/v1/agents");
                return response.StatusCode == HttpStatusCode.Unauthorized;
            }, "the revoked key is refused");
            TimeSpan took = Stopwatch.GetElapsedTime(started);
            TestContext.Current.TestOutputHelper?.WriteLine($"Refused after {took.TotalMilliseconds:0} ms.");
            Assert.True(took < TimeSpan.FromSeconds(1.2), $"It worked for {took} more.");
        }

        // Without the feed and with it back again, known keys go on.
        await _platform.Client.GetJsonAsync("/api/v1/agents");
        await _platform.Nats.RunAsync();
        await Eventually.TrueAsync(() => _platform.App.Services.GetRequiredService<ICallerChangeFeed>().HearsOthers, "the feed is heard again");
        await _platform.Client.GetJsonAsync("/api/v1/agents");
    }
}
