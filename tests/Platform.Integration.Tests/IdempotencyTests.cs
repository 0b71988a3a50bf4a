using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests;

/// <summary><c>Idempotency-Key</c>: one effect for equal requests, 409 for others, also after a restart.</summary>
public sealed class IdempotencyTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;

    public static TheoryData<string, string, string> Posts => new()
    {
        { "/v1/chat/completions", """{"model":"fake/priced","messages":[{"role":"user","content":"one"}]}""", """{"model":"fake/priced","messages":[{"role":"user","content":"two"}]}""" },
        { "/v1/chat/completions", """{"model":"agent/worker","messages":[{"role":"user","content":"one"}]}""", """{"model":"agent/worker","messages":[{"role":"user","content":"two"}]}""" },
        { "/api/v1/chat", """{"agent":"worker","message":"one","stream":false}""", """{"agent":"worker","message":"two","stream":false}""" },
        { "/api/v1/journeys", """{"type":"onboarding"}""", """{"type":"checkout"}""" },
        { "/api/v1/agents", """{"slug":"once","name":"Once"}""", """{"slug":"twice","name":"Twice"}""" },
        { "/api/v1/conversations", """{"title":"One"}""", """{"title":"Two"}""" },
        { "/v1/embeddings", """{"model":"fake/priced","input":"one"}""", """{"model":"fake/priced","input":"two"}""" },
    };

    public async ValueTask InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        await _platform.Client.PostJsonAsync("/api/v1/agents", """{"slug":"worker","name":"Worker","instructions":"Work.","model":"fake/priced"}""", HttpStatusCode.Created);
    }

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Theory]
    [MemberData(nameof(Posts))]
    public async Task Posts_InParallelWithOneKey_HaveOneEffectAlsoAfterARestart(string path, string body, string other)
    {
        HttpResponseMessage[] responses = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => _platform.Client.PostAsync(path, body, ("Idempotency-Key", "key 1"))));
        string[] bodies = await Task.WhenAll(responses.Select(r => r.Content.ReadAsStringAsync()));

        Assert.All(responses, r => Assert.True(r.IsSuccessStatusCode, $"{(int)r.StatusCode}"));
        Assert.Single(bodies.Select(Identity).Distinct());
        Assert.True(_platform.Provider.Requests.Count <= 1, $"The provider was asked {_platform.Provider.Requests.Count} times.");

        using HttpResponseMessage changed = await _platform.Client.PostAsync(path, other, ("Idempotency-Key", "key 1"));
        JsonElement problem = await changed.ReadJsonAsync();
        Assert.Equal(HttpStatusCode.Conflict, changed.StatusCode);
        Assert.Equal("idempotency_key_reused", (problem.TryGetProperty("error", out JsonElement error) ? error : problem).GetProperty("code").GetString());

        await _platform.RestartAsync();
        using HttpResponseMessage replay = await _platform.Client.PostAsync(path, body, ("Idempotency-Key", "key 1"));
        Assert.True(replay.IsSuccessStatusCode, $"{(int)replay.StatusCode} after the restart");
        Assert.Equal(Identity(bodies[0]), Identity(await replay.Content.ReadAsStringAsync()));
        Assert.True(_platform.Provider.Requests.Count <= 1, $"The provider was asked {_platform.Provider.Requests.Count} times.");
        using HttpResponseMessage still = await _platform.Client.PostAsync(path, other, ("Idempotency-Key", "key 1"));
        Assert.Equal(HttpStatusCode.Conflict, still.StatusCode);
    }

    [Theory]
    [InlineData("/api/v1/users", """{"email":"once@example.com","name":"Once","role":"viewer"}""", """{"email":"twice@example.com","name":"Twice","role":"viewer"}""")]
    [InlineData("/api/v1/keys", """{"name":"once"}""", """{"name":"twice"}""")]
    [InlineData("/api/v1/keys/{key}/rotate", """{"overlapSeconds":60}""", """{"overlapSeconds":61}""")]
    [InlineData("/api/v1/messages/{message}/feedback", """{"rating":1}""", """{"rating":-1}""")]
    [InlineData("/api/v1/journeys/{journey}/steps", """{"name":"one"}""", """{"name":"two"}""")]
    public async Task Posts_OfSmallThings_InParallelWithOneKey_GetTheSameAnswer(string path, string body, string other)
    {
        JsonElement chat = await _platform.Client.PostJsonAsync("/api/v1/chat", """{"agent":"worker","message":"one","stream":false}""");
        JsonElement key = await _platform.Client.PostJsonAsync("/api/v1/keys", """{"name":"turned"}""", HttpStatusCode.Created);
        JsonElement journey = await _platform.Client.PostJsonAsync("/api/v1/journeys", """{"type":"onboarding"}""", HttpStatusCode.Created);
        path = path.Replace("{message}", chat.GetProperty("message").GetProperty("id").GetString(), StringComparison.Ordinal)
            .Replace("{key}", key.GetProperty("id").GetString(), StringComparison.Ordinal)
            .Replace("{journey}", journey.GetProperty("id").GetString(), StringComparison.Ordinal);

        HttpResponseMessage[] responses = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => _platform.Client.PostAsync(path, body, ("Idempotency-Key", "key 2"))));
        string[] bodies = await Task.WhenAll(responses.Select(r => r.Content.ReadAsStringAsync()));
        using HttpResponseMessage changed = await _platform.Client.PostAsync(path, other, ("Idempotency-Key", "key 2"));

        Assert.All(responses, r => Assert.True(r.IsSuccessStatusCode, $"{(int)r.StatusCode}: {bodies[0]}"));
        Assert.Single(bodies.Distinct());
        Assert.Equal(HttpStatusCode.Conflict, changed.StatusCode);
        Assert.Equal("idempotency_key_reused", (await changed.ReadJsonAsync()).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("agent/worker")]
    public async Task Post_ThatFailedAtTheProvider_MayBeRepeatedWithItsKey(string model)
    {
        for (int i = 0; i < 3; i++) _platform.Provider.For("priced", FakeProvider.Error(500));
        string body = $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}]}""";

        using HttpResponseMessage failed = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "again"));
        using HttpResponseMessage repeated = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "again"));

        Assert.Equal((HttpStatusCode.BadGateway, HttpStatusCode.OK), (failed.StatusCode, repeated.StatusCode));
    }

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("agent/worker")]
    public async Task Stream_ThatBrokeOff_IsNotReplayed(string model)
    {
        string body = $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}],"stream":true}""";
        _platform.Provider.For("priced", async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "priced", new { role = "assistant", content = "half" });
        });

        using HttpResponseMessage broken = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "broken"));
        using HttpResponseMessage repeated = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "broken"));

        string first = await broken.Content.ReadAsStringAsync(), second = await repeated.Content.ReadAsStringAsync();
        Assert.Contains("\"error\"", first, StringComparison.Ordinal);
        Assert.DoesNotContain("[DONE]", first, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", second, StringComparison.Ordinal);
        Assert.False(repeated.Headers.Contains("Idempotency-Replayed"));
    }

    [Fact]
    public async Task Answer_TooLargeToKeep_IsNotGivenASecondTime()
    {
        const string body = """{"model":"fake/priced","messages":[{"role":"user","content":"hi"}]}""";
        _platform.Provider.For("priced", context => FakeProvider.AnswerAsync(context, new string('x', 17 * 1024 * 1024)));

        using HttpResponseMessage first = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "large"));
        using HttpResponseMessage second = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "large"));

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Conflict), (first.StatusCode, second.StatusCode));
        Assert.Equal("idempotency_answer_too_large", (await second.ReadJsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Single(_platform.Provider.Requests);
    }

    [Fact]
    public async Task Stream_WithAKey_IsReplayedWhole()
    {
        const string body = """{"model":"fake/priced","messages":[{"role":"user","content":"hi"}],"stream":true}""";

        using HttpResponseMessage first = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "stream"));
        using HttpResponseMessage second = await _platform.Client.PostAsync("/v1/chat/completions", body, ("Idempotency-Key", "stream"));

        Assert.Equal(await first.Content.ReadAsStringAsync(), await second.Content.ReadAsStringAsync());
        Assert.Equal("text/event-stream", second.Content.Headers.ContentType!.MediaType);
        Assert.Equal("true", second.Headers.GetValues("Idempotency-Replayed").Single());
        Assert.Single(_platform.Provider.Requests);
    }

    [Theory]
    [InlineData("é")]
    [InlineData("")]
    public async Task Key_OfAnyOtherKind_IsRefusedOrIgnored(string key)
    {
        string text = key.Length == 0 ? new string('k', 256) : key;
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/journeys") { Content = HttpTestExtensions.Json("""{"type":"x"}""") };
        request.Headers.TryAddWithoutValidation("Idempotency-Key", text);

        HttpStatusCode status;
        try
        {
            using HttpResponseMessage response = await _platform.Client.SendAsync(request);
            status = response.StatusCode;
        }
        catch (HttpRequestException)
        {
            // The client itself refuses to send it.
            return;
        }
        Assert.Equal(HttpStatusCode.BadRequest, status);
    }

    // The id of what was made; for a chat, the run's.
    private static string Identity(string body)
    {
        JsonElement json = JsonDocument.Parse(body).RootElement;
        return json.TryGetProperty("runId", out JsonElement run) ? run.ToString() : json.TryGetProperty("id", out JsonElement id) ? id.ToString() : body;
    }
}
