using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace MultiAgent.Platform.Integration.Tests.Tracking;

/// <summary>What the books say of attempts that got no answer: an estimate where the provider may charge, nothing where it cannot.</summary>
public sealed class FailedAttemptTests(FailedAttemptTests.Fixture fixture) : IClassFixture<FailedAttemptTests.Fixture>
{
    private readonly TestPlatform _platform = fixture.Platform;
    private readonly string _model = $"m-{Guid.NewGuid():N}";

    public sealed class Fixture : IAsyncLifetime
    {
        public TestPlatform Platform { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Models:Resilience:MaxRetries"] = "0",
            ["Models:Resilience:BreakAfterFailures"] = "100",
            ["Models:Providers:impatient:Type"] = "openai",
            ["Models:Providers:impatient:BaseUrl"] = TestPlatform.ProviderUrl,
            ["Models:Providers:impatient:Timeouts:FirstByteSeconds"] = "0.3",
            ["Models:Providers:deaf:Type"] = "openai",
            // A port of this machine on which nobody listens.
            ["Models:Providers:deaf:BaseUrl"] = "http://127.0.0.1:9/v1",
        });

        public ValueTask DisposeAsync() => Platform.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Attempt_ThatWasNeverAnswered_IsMeteredWithAnEstimateOfItsInput(bool stream)
    {
        _platform.Provider.For(_model, FakeProvider.UntilAbortedAsync);

        JsonElement record = await FailAsync("impatient", HttpStatusCode.GatewayTimeout, stream);

        Assert.Equal("provider_timeout", record.GetProperty("errorCode").GetString());
        Assert.True(record.GetProperty("estimated").GetBoolean());
        Assert.InRange(record.GetProperty("inputTokens").GetInt64(), 1, 100);
        Assert.Equal(0, record.GetProperty("outputTokens").GetInt64());
    }

    [Fact]
    public async Task Attempt_ThatFoundNobody_IsMeteredWithNothing()
    {
        JsonElement record = await FailAsync("deaf", HttpStatusCode.BadGateway);

        AssertNothing(record);
    }

    [Theory]
    [InlineData(500, HttpStatusCode.BadGateway)]
    [InlineData(401, HttpStatusCode.BadGateway)]
    [InlineData(400, HttpStatusCode.BadRequest)]
    public async Task Attempt_ThatWasRefused_IsMeteredWithNothing(int status, HttpStatusCode expected)
    {
        _platform.Provider.For(_model, FakeProvider.Error(status));

        JsonElement record = await FailAsync("fake", expected);

        AssertNothing(record);
    }

    [Fact]
    public async Task Request_WhileTheProviderPauses_Gets429WithTheTimeThatIsLeft()
    {
        _platform.Provider.For(_model, FakeProvider.Error(429, "rate_limit_exceeded", retryAfter: "20"));

        using HttpResponseMessage first = await PostAsync("fake");
        using HttpResponseMessage second = await PostAsync("fake");

        Assert.Equal((HttpStatusCode.TooManyRequests, HttpStatusCode.TooManyRequests), (first.StatusCode, second.StatusCode));
        Assert.Equal("20", first.Headers.GetValues("Retry-After").Single());
        Assert.InRange(int.Parse(second.Headers.GetValues("Retry-After").Single(), CultureInfo.InvariantCulture), 1, 20);
        Assert.Equal("rate_limit_exceeded", (await second.ReadJsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Single(_platform.Provider.RequestsFor(_model));
        // Who was not asked has nothing in the books.
        Assert.Single(await RecordsAsync("fake"));
    }

    private Task<HttpResponseMessage> PostAsync(string provider, bool stream = false) => _platform.Client.PostAsync("/v1/chat/completions",
        $$"""{"model":"{{provider}}/{{_model}}","messages":[{"role":"user","content":"How many words has this question?"}],"stream":{{(stream ? "true" : "false")}}}""");

    private async Task<JsonElement> FailAsync(string provider, HttpStatusCode expected, bool stream = false)
    {
        using HttpResponseMessage response = await PostAsync(provider, stream);
        Assert.Equal(expected, response.StatusCode);
        JsonElement record = Assert.Single(await RecordsAsync(provider));
        Assert.Equal("error", record.GetProperty("status").GetString());
        return record;
    }

    private async Task<JsonElement[]> RecordsAsync(string provider)
    {
        JsonElement[] records = [];
        await Eventually.TrueAsync(async () =>
        {
            records = [.. (await _platform.Client.GetJsonAsync($"/api/v1/usage/records?model={provider}/{_model}")).GetProperty("data").EnumerateArray()];
            return records.Length > 0;
        }, $"usage of {_model}");
        return records;
    }

    private static void AssertNothing(JsonElement record) => Assert.Equal((0L, 0L, false),
        (record.GetProperty("inputTokens").GetInt64(), record.GetProperty("outputTokens").GetInt64(), record.GetProperty("estimated").GetBoolean()));
}
