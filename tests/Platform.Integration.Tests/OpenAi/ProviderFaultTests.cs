using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace MultiAgent.Platform.Integration.Tests.OpenAi;

/// <summary>What a client sees, and what is metered, when a provider fails in each way that providers do.</summary>
[Trait("Database", "once")]
public sealed class ProviderFaultTests(ProviderFaultTests.Fixture fixture) : IClassFixture<ProviderFaultTests.Fixture>
{
    private readonly TestPlatform _platform = fixture.Platform;
    private readonly string _model = $"m-{Guid.NewGuid():N}";

    public sealed class Fixture : IAsyncLifetime
    {
        public TestPlatform Platform { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
        {
            ["Models:Resilience:MaxRetries"] = "2",
            ["Models:Resilience:BreakAfterFailures"] = "100",
            ["Models:Providers:impatient:Type"] = "openai",
            ["Models:Providers:impatient:BaseUrl"] = TestPlatform.ProviderUrl,
            ["Models:Providers:impatient:Timeouts:FirstByteSeconds"] = "0.3",
            ["Models:Providers:impatient:Timeouts:BetweenChunksSeconds"] = "0.3",
            ["Models:Providers:hurried:Type"] = "openai",
            ["Models:Providers:hurried:BaseUrl"] = TestPlatform.ProviderUrl,
            ["Models:Providers:hurried:Timeouts:TotalSeconds"] = "0.3",
            ["Models:Providers:deaf:Type"] = "openai",
            // A port of this machine on which nobody listens.
            ["Models:Providers:deaf:BaseUrl"] = "http://127.0.0.1:9/v1",
            ["Models:Catalogue:fake/main:Fallbacks"] = "fake/spare,fake/last",
        });

        public ValueTask DisposeAsync() => Platform.DisposeAsync();
    }

    [Theory]
    [InlineData(500)]
    [InlineData(502)]
    [InlineData(503)]
    public async Task Provider_ThatFailsOnce_IsTriedAgain(int status)
    {
        _platform.Provider.For(_model, FakeProvider.Error(status));

        using HttpResponseMessage response = await PostAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("1", response.Headers.GetValues("x-maap-prior-attempts").Single());
        Assert.Equal(2, _platform.Provider.RequestsFor(_model).Count);
    }

    [Fact]
    public async Task Provider_ThatIsSilentBeyondTheTotal_IsGivenUpWithoutARetry()
    {
        Script(FakeProvider.UntilAbortedAsync, times: 3);

        using HttpResponseMessage response = await PostAsync("hurried");

        await AssertErrorAsync(response, 504, "server_error", "provider_timeout");
        Assert.Single(_platform.Provider.RequestsFor(_model));
    }

    [Fact]
    public async Task Stream_ThatIsSilentBeyondTheTotal_EndsInTime()
    {
        Script(async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, _model, new { role = "assistant", content = "four words are here" });
            await FakeProvider.UntilAbortedAsync(context);
        }, times: 1);

        string stream = await StreamAsync("hurried");

        Assert.Contains("\"error\"", stream, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", stream, StringComparison.Ordinal);
        await AssertInterruptedIsMeteredAsync("hurried");
    }

    [Fact]
    public async Task Provider_ThatKeepsFailing_GetsEveryRetryAndTheClient502()
    {
        Script(FakeProvider.Error(500), times: 9);

        using HttpResponseMessage response = await PostAsync();

        await AssertErrorAsync(response, 502, "server_error", "provider_error");
        Assert.Equal(3, _platform.Provider.RequestsFor(_model).Count);
        // Every attempt is in the books, and none of them cost anything.
        JsonElement[] records = await RecordsAsync(3);
        Assert.Equal([0, 1, 2], records.Select(r => r.GetProperty("attempt").GetInt32()).Order());
        Assert.All(records, r => Assert.Equal("error", r.GetProperty("status").GetString()));
        Assert.All(records, r => Assert.Equal(0, r.GetProperty("inputTokens").GetInt64()));
    }

    [Fact]
    public async Task Provider_AtItsLimitForAMoment_IsAskedAgainAfterTheTimeItNamed()
    {
        _platform.Provider.For(_model, FakeProvider.Error(429, "rate_limit_exceeded", retryAfter: "1"));
        long started = Stopwatch.GetTimestamp();

        using HttpResponseMessage response = await PostAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.True(Stopwatch.GetElapsedTime(started) >= TimeSpan.FromSeconds(1), "Retry-After was not honoured.");
    }

    [Fact]
    public async Task Provider_AtItsLimitForLong_PassesItsRetryAfterOn()
    {
        Script(FakeProvider.Error(429, "rate_limit_exceeded", retryAfter: "120"), times: 3);

        using HttpResponseMessage response = await PostAsync();

        await AssertErrorAsync(response, 429, "requests", "rate_limit_exceeded");
        Assert.Equal("120", response.Headers.GetValues("Retry-After").Single());
        Assert.Single(_platform.Provider.RequestsFor(_model));
    }

    [Theory]
    [InlineData("<html>welcome to the hotel wifi</html>")]
    [InlineData("""{"id":"chatcmpl-1","choices":[{"index":0,"mess""")]
    [InlineData("")]
    [InlineData("[]")]
    public async Task Provider_ThatAnswers200WithNoJsonObject_IsTriedAgainThen502(string body)
    {
        Script(FakeProvider.Raw(body), times: 9);

        using HttpResponseMessage response = await PostAsync();

        await AssertErrorAsync(response, 502, "server_error", "provider_error");
        Assert.Equal(3, _platform.Provider.RequestsFor(_model).Count);
    }

    [Fact]
    public async Task Provider_ThatCutsItsJsonAnswer_IsTriedAgain()
    {
        _platform.Provider.For(_model, async context =>
        {
            context.Response.ContentType = "application/json";
            context.Response.ContentLength = 1000;
            await context.Response.WriteAsync("""{"id":"chatcmpl-1",""");
            await context.Response.Body.FlushAsync();
            context.Abort();
        });

        using HttpResponseMessage response = await PostAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(2, _platform.Provider.RequestsFor(_model).Count);
    }

    [Theory]
    [InlineData(401)]
    [InlineData(403)]
    public async Task Provider_ThatRefusesThePlatformsKey_ShowsAs502(int status)
    {
        Script(FakeProvider.Error(status, "invalid_api_key"), times: 9);

        using HttpResponseMessage response = await PostAsync();
        string body = await response.Content.ReadAsStringAsync();

        await AssertErrorAsync(response, 502, "server_error", "provider_error");
        Assert.DoesNotContain("sk-fake", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(404, "model_not_found")]
    [InlineData(400, "invalid_value")]
    [InlineData(422, null)]
    public async Task Provider_ThatFaultsTheRequest_SpeaksToTheClientOnce(int status, string? code)
    {
        Script(FakeProvider.Error(status, code), times: 9);

        using HttpResponseMessage response = await PostAsync();
        JsonElement error = (await response.ReadJsonAsync()).GetProperty("error");

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal($"scripted {status}", error.GetProperty("message").GetString());
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Single(_platform.Provider.RequestsFor(_model));
    }

    [Fact]
    public async Task Provider_ThatNeverAnswers_TimesOutAs504()
    {
        Script(FakeProvider.UntilAbortedAsync, times: 9);

        using HttpResponseMessage response = await PostAsync("impatient");

        await AssertErrorAsync(response, 504, "server_error", "provider_timeout");
        Assert.Equal(3, _platform.Provider.RequestsFor(_model).Count);
    }

    [Fact]
    public async Task Provider_ThatIsNotThere_ShowsAs502()
    {
        using HttpResponseMessage response = await PostAsync("deaf");

        await AssertErrorAsync(response, 502, "server_error", "provider_error");
    }

    [Fact]
    public async Task Stream_ThatIsCut_EndsWithAnErrorEventAndIsNeverRetried()
    {
        var seen = new TaskCompletionSource();
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { content = "one two three four" });
            await seen.Task.WaitAsync(Eventually.Deadline);
            context.Abort();
        });

        using HttpResponseMessage response = await _platform.Client.PostStreamAsync("/v1/chat/completions", PassThroughTests.Chat(_model, ""","stream":true"""));
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        string body = await reader.ReadLineAsync().WaitAsync(Eventually.Deadline) + "\n";
        seen.SetResult();
        body += await reader.ReadToEndAsync();

        JsonElement[] chunks = Sse.Chunks(body);
        Assert.Equal("one two three four", Sse.Text(chunks));
        Assert.Equal("provider_stream_interrupted", chunks[^1].GetProperty("error").GetProperty("code").GetString());
        Assert.DoesNotContain("[DONE]", body, StringComparison.Ordinal);
        Assert.Single(_platform.Provider.RequestsFor(_model));
        await AssertInterruptedIsMeteredAsync();
    }

    [Fact]
    public async Task Stream_ThatEndsInTheMiddle_EndsWithAnErrorEvent()
    {
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { content = "one two three four" });
        });

        string body = await StreamAsync();

        Assert.Equal("provider_stream_interrupted", Sse.Chunks(body)[^1].GetProperty("error").GetProperty("code").GetString());
        Assert.DoesNotContain("[DONE]", body, StringComparison.Ordinal);
        await AssertInterruptedIsMeteredAsync();
    }

    [Fact]
    public async Task Stream_ThatFallsSilent_TimesOutWithAnErrorEvent()
    {
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { content = "one two three four" });
            await FakeProvider.UntilAbortedAsync(context);
        });

        string body = await StreamAsync("impatient");

        Assert.Equal("provider_stream_interrupted", Sse.Chunks(body)[^1].GetProperty("error").GetProperty("code").GetString());
        Assert.Single(_platform.Provider.RequestsFor(_model));
        await AssertInterruptedIsMeteredAsync("impatient");
    }

    [Fact]
    public async Task Stream_WithoutDoneButFinished_IsComplete()
    {
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { content = "all of it" });
            await FakeProvider.ChunkAsync(context, "m", new { }, "stop");
        });

        string body = await StreamAsync();

        Assert.Equal("all of it", Sse.Text(Sse.Chunks(body)));
        Assert.DoesNotContain("error", body, StringComparison.Ordinal);
        Assert.Equal("ok", (await RecordsAsync(1))[0].GetProperty("status").GetString());
    }

    [Fact]
    public async Task Stream_ThatFailsBeforeItsFirstByte_IsTriedAgain()
    {
        _platform.Provider.For(_model, FakeProvider.Error(503)).For(_model, FakeProvider.Raw("", contentType: "text/event-stream"));

        string body = await StreamAsync();

        Assert.EndsWith("data: [DONE]\n\n", body, StringComparison.Ordinal);
        Assert.Equal(3, _platform.Provider.RequestsFor(_model).Count);
    }

    [Fact]
    public async Task Fallbacks_WhenTheModelCannotAnswer_AreTriedInOrder()
    {
        for (int i = 0; i < 3; i++) _platform.Provider.For("main", FakeProvider.Error(500)).For("spare", FakeProvider.Error(503));

        using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/chat/completions", PassThroughTests.Chat("main"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("fake/last", response.Headers.GetValues("x-maap-model").Single());
        Assert.Equal((3, 3, 1), (_platform.Provider.RequestsFor("main").Count, _platform.Provider.RequestsFor("spare").Count, _platform.Provider.RequestsFor("last").Count));
    }

    [Fact]
    public async Task Client_ThatHangsUpMidStream_IsFeltByTheProviderAtOnce()
    {
        var begun = new TaskCompletionSource();
        var aborted = new TaskCompletionSource<long>();
        _platform.Provider.For(_model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { content = "a first piece of the answer" });
            begun.SetResult();
            await FakeProvider.UntilAbortedAsync(context);
            aborted.SetResult(Stopwatch.GetTimestamp());
        });
        HttpResponseMessage response = await _platform.Client.PostStreamAsync("/v1/chat/completions", PassThroughTests.Chat(_model, ""","stream":true"""));
        await begun.Task.WaitAsync(Eventually.Deadline);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        await reader.ReadLineAsync();

        long hungUp = Stopwatch.GetTimestamp();
        response.Dispose();
        TimeSpan took = Stopwatch.GetElapsedTime(hungUp, await aborted.Task.WaitAsync(Eventually.Deadline));

        // 100 ms is the promise, to be measured on a machine of its own; here others run beside.
        TestContext.Current.TestOutputHelper?.WriteLine($"The provider felt the abort after {took.TotalMilliseconds:0.0} ms.");
        Assert.True(took < TimeSpan.FromSeconds(2), $"The provider felt the abort only after {took}.");
        JsonElement record = (await RecordsAsync(1))[0];
        Assert.Equal("cancelled", record.GetProperty("status").GetString());
        Assert.True(record.GetProperty("estimated").GetBoolean());
        Assert.True(record.GetProperty("inputTokens").GetInt64() > 0);
        Assert.True(record.GetProperty("outputTokens").GetInt64() > 0);
    }

    [Fact]
    public async Task Client_ThatHangsUpBeforeTheAnswer_IsFeltByTheProvider()
    {
        var aborted = new TaskCompletionSource();
        var begun = new TaskCompletionSource();
        _platform.Provider.For(_model, async context =>
        {
            begun.SetResult();
            await FakeProvider.UntilAbortedAsync(context);
            aborted.SetResult();
        });
        using var hangUp = new CancellationTokenSource();
        Task<HttpResponseMessage> post = _platform.Client.PostStreamAsync("/v1/chat/completions", PassThroughTests.Chat(_model), hangUp.Token);
        await begun.Task.WaitAsync(Eventually.Deadline);

        await hangUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => post);
        await aborted.Task.WaitAsync(Eventually.Deadline);
        Assert.Equal("cancelled", (await RecordsAsync(1))[0].GetProperty("status").GetString());
    }

    private void Script(Func<HttpContext, Task> behaviour, int times)
    {
        for (int i = 0; i < times; i++) _platform.Provider.For(_model, behaviour);
    }

    private Task<HttpResponseMessage> PostAsync(string provider = "fake") =>
        _platform.Client.PostAsync("/v1/chat/completions", $$"""{"model":"{{provider}}/{{_model}}","messages":[{"role":"user","content":"hi"}]}""");

    private async Task<string> StreamAsync(string provider = "fake")
    {
        using HttpResponseMessage response = await _platform.Client.PostStreamAsync("/v1/chat/completions",
            $$"""{"model":"{{provider}}/{{_model}}","messages":[{"role":"user","content":"hi"}],"stream":true}""");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await response.Content.ReadAsStringAsync();
    }

    private async Task<JsonElement[]> RecordsAsync(int count, string provider = "fake")
    {
        JsonElement[] records = [];
        await Eventually.TrueAsync(async () =>
        {
            records = [.. (await _platform.Client.GetJsonAsync($"/api/v1/usage/records?model={provider}/{_model}")).GetProperty("data").EnumerateArray()];
            return records.Length >= count;
        }, $"{count} usage records of {_model}");
        Assert.Equal(count, records.Length);
        return records;
    }

    private async Task AssertInterruptedIsMeteredAsync(string provider = "fake")
    {
        JsonElement record = (await RecordsAsync(1, provider))[0];
        Assert.Equal("interrupted", record.GetProperty("status").GetString());
        Assert.Equal("provider_stream_interrupted", record.GetProperty("errorCode").GetString());
        Assert.True(record.GetProperty("estimated").GetBoolean());
        Assert.True(record.GetProperty("outputTokens").GetInt64() >= 4);
    }

    private static async Task AssertErrorAsync(HttpResponseMessage response, int status, string type, string code)
    {
        JsonElement error = (await response.ReadJsonAsync()).GetProperty("error");
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal(["code", "message", "param", "type"], error.EnumerateObject().Select(p => p.Name).Order());
        Assert.Equal((type, code), (error.GetProperty("type").GetString(), error.GetProperty("code").GetString()));
    }
}
