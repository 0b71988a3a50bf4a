using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MultiAgent.Platform.Integration.Tests.OpenAi;

/// <summary>Several keys of a model: shares, circuits and their recovery.</summary>
[Trait("Database", "once")]
public sealed class DeploymentTests
{
    [Fact]
    public async Task Keys_WithWeights_GetTheirSharesOfTheTraffic()
    {
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Models:Deployments:0:Model"] = "fake/shared",
            ["Models:Deployments:0:Provider"] = "fake",
            ["Models:Deployments:0:ApiKey"] = "sk-three",
            ["Models:Deployments:0:Weight"] = "3",
            ["Models:Deployments:1:Model"] = "fake/shared",
            ["Models:Deployments:1:Provider"] = "fake",
            ["Models:Deployments:1:ApiKey"] = "sk-one",
            ["Models:Deployments:1:UpstreamModel"] = "other-name",
            ["Models:Deployments:1:Weight"] = "1",
        });

        for (int i = 0; i < 80; i++) await platform.Client.PostJsonAsync("/v1/chat/completions", PassThroughTests.Chat("shared"));

        int three = platform.Provider.Requests.Count(r => r.Headers.Authorization == "Bearer sk-three");
        Assert.InRange(three, 50, 70);
        Assert.Equal(80 - three, platform.Provider.Requests.Count(r => r.Headers.Authorization == "Bearer sk-one"));
        Assert.Equal(80 - three, platform.Provider.RequestsFor("other-name").Count);
    }

    [Fact]
    public async Task Key_AtItsLimit_LeavesTheTrafficToTheOthers()
    {
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Models:Providers:fake:ApiKey"] = null,
            ["Models:Providers:fake:ApiKeys"] = "sk-limited,sk-free",
            ["Models:Catalogue:fake/shared:Tier"] = "fast",
        });
        platform.Provider.Default = context => context.Request.Headers.Authorization == "Bearer sk-limited"
            ? FakeProvider.Error(429, "rate_limit_exceeded", "300")(context) : FakeProvider.AnswerAsync(context, "free");

        for (int i = 0; i < 10; i++) await platform.Client.PostJsonAsync("/v1/chat/completions", PassThroughTests.Chat("shared"));

        Assert.Equal(1, platform.Provider.Requests.Count(r => r.Headers.Authorization == "Bearer sk-limited"));
        Assert.Equal(10, platform.Provider.Requests.Count(r => r.Headers.Authorization == "Bearer sk-free"));
    }

    [Fact]
    public async Task Circuit_OfAProviderThatBreaksOffEveryStream_Opens()
    {
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["Models:Resilience:BreakAfterFailures"] = "3" });
        platform.Provider.Default = async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "broken", new { role = "assistant", content = "half" });
        };
        const string Body = """{"model":"fake/broken","messages":[{"role":"user","content":"hi"}],"stream":true}""";

        for (int i = 0; i < 3; i++)
        {
            using HttpResponseMessage broken = await platform.Client.PostAsync("/v1/chat/completions", Body);
            Assert.Equal(HttpStatusCode.OK, broken.StatusCode);
        }
        using HttpResponseMessage refused = await platform.Client.PostAsync("/v1/chat/completions", Body);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal(3, platform.Provider.Requests.Count);
    }

    [Fact]
    public async Task Pause_OfAProviderInTrouble_IsNotCalledARateLimit()
    {
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?> { ["Models:Resilience:MaxRetries"] = "0" });
        platform.Provider.NextError(503, retryAfter: "20");

        using HttpResponseMessage first = await platform.Client.PostAsync("/v1/chat/completions", PassThroughTests.Chat("down"));
        using HttpResponseMessage second = await platform.Client.PostAsync("/v1/chat/completions", PassThroughTests.Chat("down"));

        Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable), (first.StatusCode, second.StatusCode));
        Assert.Equal("provider_unavailable", (await second.ReadJsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Single(platform.Provider.Requests);
    }

    [Fact]
    public async Task Circuit_AfterFailuresInARow_OpensAndRecovers()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using TestPlatform platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Models:Resilience:MaxRetries"] = "0",
            ["Models:Resilience:BreakAfterFailures"] = "3",
            ["Models:Resilience:BreakSeconds"] = "15",
        }, services => services.AddSingleton<TimeProvider>(time));
        for (int i = 0; i < 3; i++) platform.Provider.For("shaky", FakeProvider.Error(500));

        for (int i = 0; i < 3; i++) Assert.Equal(HttpStatusCode.BadGateway, await StatusAsync());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync());
        Assert.Equal(3, platform.Provider.RequestsFor("shaky").Count);

        // One request may try after the break; it fails, and the break begins anew.
        time.Advance(TimeSpan.FromSeconds(16));
        platform.Provider.For("shaky", FakeProvider.Error(500));
        Assert.Equal(HttpStatusCode.BadGateway, await StatusAsync());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, await StatusAsync());
        Assert.Equal(4, platform.Provider.RequestsFor("shaky").Count);

        time.Advance(TimeSpan.FromSeconds(16));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync());
        Assert.Equal(HttpStatusCode.OK, await StatusAsync());
        Assert.Equal(6, platform.Provider.RequestsFor("shaky").Count);

        async Task<HttpStatusCode> StatusAsync()
        {
            using HttpResponseMessage response = await platform.Client.PostAsync("/v1/chat/completions", PassThroughTests.Chat("shaky"));
            return response.StatusCode;
        }
    }
}
