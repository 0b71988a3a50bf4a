using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MultiAgent.Platform.Integration.Tests.Surface;

/// <summary>Model providers in <c>/health</c>, as the clients' calls have found them.</summary>
[Trait("Database", "once")]
public sealed class ProviderHealthTests
{
    [Fact]
    public async Task Health_OfAProviderThatFails_IsDegradedUntilItAnswersAndStaysReady()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Models:Resilience:MaxRetries"] = "0",
            ["Models:Resilience:BreakAfterFailures"] = "2",
            ["Models:Resilience:BreakSeconds"] = "15",
            ["Models:Catalogue:fake/steady:InputPrice"] = "1",
            ["Models:Catalogue:fake/steady:OutputPrice"] = "1",
        }, services => services.AddSingleton<TimeProvider>(time));
        HttpClient anybody = platform.ClientFor(null);

        Assert.Equal(("ok", "ok"), (await StatusAsync("fake"), await StatusAsync("local")));
        // To look is not to call.
        Assert.Empty(platform.Provider.Requests);

        platform.Provider.For("priced", FakeProvider.Error(500)).For("priced", FakeProvider.Error(500));
        await ChatAsync(TestPlatform.Priced, HttpStatusCode.BadGateway);
        Assert.Equal("ok", await StatusAsync("fake"));
        await ChatAsync(TestPlatform.Priced, HttpStatusCode.BadGateway);
        await ChatAsync("fake/steady", HttpStatusCode.OK);

        JsonElement broken = await ProviderAsync("fake");
        Assert.Equal("degraded", broken.GetProperty("status").GetString());
        Assert.Contains($"{TestPlatform.Priced}#", broken.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain("steady", broken.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Equal("ok", await StatusAsync("local"));
        foreach (string path in (string[])["/health", "/health/ready", "/api/v1/api-gateway/health"])
            Assert.Equal("degraded", (await anybody.GetJsonAsync(path)).GetProperty("status").GetString());

        time.Advance(TimeSpan.FromSeconds(16));
        await ChatAsync(TestPlatform.Priced, HttpStatusCode.OK);
        // A model outside the catalogue counts for its provider, and its name is the client's own.
        platform.Provider.For("own-secret", FakeProvider.Error(500)).For("own-secret", FakeProvider.Error(500));
        for (int i = 0; i < 2; i++) await ChatAsync("fake/own-secret", HttpStatusCode.BadGateway);
        Assert.Equal("out of service: fake/unlisted", (await ProviderAsync("fake")).GetProperty("detail").GetString());

        time.Advance(TimeSpan.FromSeconds(16));
        await ChatAsync("fake/own-secret", HttpStatusCode.OK);
        await ChatAsync(TestPlatform.Priced, HttpStatusCode.OK);
        Assert.Equal("ok", await StatusAsync("fake"));

        async Task<JsonElement> ProviderAsync(string name)
        {
            // A report is given out for a second.
            time.Advance(TimeSpan.FromSeconds(1));
            return Assert.Single((await anybody.GetJsonAsync("/health")).GetProperty("dependencies").EnumerateArray(), d => d.GetProperty("name").GetString() == $"provider:{name}");
        }

        async Task<string?> StatusAsync(string name) => (await ProviderAsync(name)).GetProperty("status").GetString();

        async Task ChatAsync(string model, HttpStatusCode expected)
        {
            using HttpResponseMessage response = await platform.Client.PostAsync("/v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}]}""");
            Assert.Equal(expected, response.StatusCode);
        }
    }
}
