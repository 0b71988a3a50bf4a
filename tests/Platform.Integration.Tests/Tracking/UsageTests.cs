using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.Tracking;

/// <summary>What the provider reported is what the books say: to the token, and to the last digit of the cost.</summary>
public sealed class UsageTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync() => _platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
    {
        [$"Models:Catalogue:{TestPlatform.Priced}:Fallbacks"] = "fake/dearer",
        ["Models:Catalogue:fake/dearer:InputPrice"] = "1.234567",
        ["Models:Catalogue:fake/dearer:OutputPrice"] = "9.876543",
        ["Models:Resilience:MaxRetries"] = "1",
        ["Models:Resilience:BreakAfterFailures"] = "1000",
    });

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Fact]
    public async Task Usage_OfManyRequests_EqualsWhatTheProviderReported()
    {
        var random = new Random(42);
        const int count = 60;
        var failing = 0;
        _platform.Provider.Default = context =>
        {
            int prompt, completion, cached;
            lock (random) (prompt, completion, cached) = (random.Next(1, 5000), random.Next(1, 3000), random.Next(0, 1000));
            return Interlocked.Increment(ref failing) % 4 == 0
                ? FakeProvider.Error(500)(context)
                : FakeProvider.AnswerAsync(context, "some words", prompt, completion, Math.Min(cached, prompt));
        };

        await Parallel.ForEachAsync(Enumerable.Range(0, count), new ParallelOptions { MaxDegreeOfParallelism = 6 }, async (i, _) =>
        {
            using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/chat/completions",
                $$"""{"model":"{{TestPlatform.Priced}}","messages":[{"role":"user","content":"hi"}],"stream":{{(i % 2 == 0 ? "true" : "false")}}}""");
            await response.Content.ReadAsStringAsync(CancellationToken.None);
        });

        JsonElement total = (await TestPlatform.UsageAsync(_platform.Client, _platform.Provider.Requests.Count)).GetProperty("total");
        ReportedUsage[] reported = [.. _platform.Provider.Reported];
        Assert.Equal(_platform.Provider.Requests.Count, total.GetProperty("requests").GetInt64());
        Assert.Equal(_platform.Provider.Requests.Count - reported.Length, total.GetProperty("errors").GetInt64());
        Assert.Equal(reported.Sum(r => r.PromptTokens), total.GetProperty("inputTokens").GetInt64());
        Assert.Equal(reported.Sum(r => r.CompletionTokens), total.GetProperty("outputTokens").GetInt64());
        Assert.Equal(reported.Sum(r => r.CachedTokens), total.GetProperty("cachedInputTokens").GetInt64());
        Assert.Equal(0, total.GetProperty("estimatedRequests").GetInt64());
        decimal cost = reported.Sum(r => r.Model == "priced"
            ? ((r.PromptTokens - r.CachedTokens) * 2.5m + r.CachedTokens * 0.25m + r.CompletionTokens * 10m) / 1_000_000m
            : (r.PromptTokens * 1.234567m + r.CompletionTokens * 9.876543m) / 1_000_000m);
        Assert.Equal(cost, total.GetProperty("costUsd").GetDecimal());
        Assert.True(reported.Length >= count / 2);
    }

    [Fact]
    public async Task Usage_OfAnUnknownPrice_HasNoCostAndIsCounted()
    {
        await ChatAsync("fake/unpriced");
        await ChatAsync(TestPlatform.Priced);

        JsonElement total = (await TestPlatform.UsageAsync(_platform.Client, 2)).GetProperty("total");
        Assert.Equal(1, total.GetProperty("requestsOfUnknownCost").GetInt64());
        Assert.Equal((11 * 2.5m + 7 * 10m) / 1_000_000m, total.GetProperty("costUsd").GetDecimal());
        JsonElement record = (await _platform.Client.GetJsonAsync("/api/v1/usage/records?model=fake/unpriced")).GetProperty("data")[0];
        Assert.False(record.TryGetProperty("costUsd", out JsonElement cost) && cost.ValueKind != JsonValueKind.Null);
    }

    [Fact]
    public async Task Usage_ThatAProviderDoesNotReport_IsCountedAndMarked()
    {
        _platform.Provider.For("mute", FakeProvider.Raw("""{"id":"c","object":"chat.completion","created":1,"model":"mute","choices":[{"index":0,"message":{"role":"assistant","content":"seven words that the provider did not count"},"finish_reason":"stop"}]}"""));
        await ChatAsync("fake/mute");

        await TestPlatform.UsageAsync(_platform.Client, 1);
        JsonElement record = (await _platform.Client.GetJsonAsync("/api/v1/usage/records")).GetProperty("data")[0];
        Assert.True(record.GetProperty("estimated").GetBoolean());
        Assert.InRange(record.GetProperty("outputTokens").GetInt64(), 5, 15);
        Assert.InRange(record.GetProperty("inputTokens").GetInt64(), 1, 20);
    }

    [Fact]
    public async Task Usage_OfAgents_NamesAgentAndRun()
    {
        await _platform.Client.PostJsonAsync("/api/v1/agents", $$"""{"slug":"worker","name":"Worker","instructions":"Work.","model":"{{TestPlatform.Priced}}"}""", HttpStatusCode.Created);
        JsonElement chat = await _platform.Client.PostJsonAsync("/api/v1/chat", """{"agent":"worker","message":"go","stream":false}""");

        JsonElement usage = await TestPlatform.UsageAsync(_platform.Client, 1, "groupBy=agent");
        Assert.Equal("worker", usage.GetProperty("data")[0].GetProperty("group").GetProperty("agent").GetString());
        JsonElement record = (await _platform.Client.GetJsonAsync("/api/v1/usage/records?agent=worker")).GetProperty("data")[0];
        Assert.Equal(chat.GetProperty("runId").GetString(), record.GetProperty("runId").GetString());
        JsonElement run = await _platform.Client.GetJsonAsync($"/api/v1/runs/{chat.GetProperty("runId").GetString()}");
        Assert.Equal(record.GetProperty("costUsd").GetDecimal(), run.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        Assert.Equal(record.GetProperty("inputTokens").GetInt64(), run.GetProperty("usage").GetProperty("inputTokens").GetInt64());
    }

    [Fact]
    public async Task Usage_InGroupsAndRanges_AddsUp()
    {
        for (int i = 0; i < 3; i++) await ChatAsync(TestPlatform.Priced);
        await ChatAsync("fake/unpriced");
        await _platform.Client.PostJsonAsync("/v1/embeddings", """{"model":"local/embeddings","input":"a"}""");
        await TestPlatform.UsageAsync(_platform.Client, 5);

        foreach (string grouping in (string[])["model", "provider", "operation", "status", "apiKey", "user", "day", "hour", "model,day", "provider,operation,status"])
        {
            JsonElement usage = await _platform.Client.GetJsonAsync($"/api/v1/usage?groupBy={grouping}");
            Assert.Equal(5, usage.GetProperty("data").EnumerateArray().Sum(g => g.GetProperty("requests").GetInt64()));
            Assert.Equal(usage.GetProperty("total").GetProperty("costUsd").GetDecimal(), usage.GetProperty("data").EnumerateArray().Sum(g => g.GetProperty("costUsd").GetDecimal()));
            Assert.All(usage.GetProperty("data").EnumerateArray(), g => Assert.Equal(grouping.Split(',').Order(), g.GetProperty("group").EnumerateObject().Select(p => p.Name).Order()));
        }
        Assert.Equal(0, (await _platform.Client.GetJsonAsync("/api/v1/usage?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")).GetProperty("total").GetProperty("requests").GetInt64());
        JsonElement page = await _platform.Client.GetJsonAsync("/api/v1/usage/records?limit=2");
        JsonElement rest = await _platform.Client.GetJsonAsync($"/api/v1/usage/records?limit=200&cursor={page.GetProperty("nextCursor").GetString()}");
        Assert.Equal((2, 3), (page.GetProperty("data").GetArrayLength(), rest.GetProperty("data").GetArrayLength()));
        foreach (string wrong in (string[])["groupBy=colour", "groupBy=model,day,hour,user", "from=2024-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"])
        {
            using HttpResponseMessage response = await _platform.Client.GetAsync($"/api/v1/usage?{wrong}");
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }
    }

    [Fact]
    public async Task Usage_AfterARestart_IsThereOnce()
    {
        for (int i = 0; i < 5; i++) await ChatAsync(TestPlatform.Priced);
        // At once: what is in the spool must reach the books at the stop or at the next start.
        await _platform.RestartAsync();

        JsonElement total = (await TestPlatform.UsageAsync(_platform.Client, 5)).GetProperty("total");
        Assert.Equal(5, total.GetProperty("requests").GetInt64());
        Assert.Equal(55, total.GetProperty("inputTokens").GetInt64());
    }

    [Fact]
    public async Task Feedback_OnAMessage_IsKeptOncePerAuthorAndListed()
    {
        JsonElement chat = await _platform.Client.PostJsonAsync("/api/v1/chat", """{"agent":"helper","message":"hi","stream":false}""");
        string message = chat.GetProperty("message").GetProperty("id").GetString()!;
        await _platform.Client.PostJsonAsync($"/api/v1/messages/{message}/feedback", """{"rating":1}""");
        await _platform.Client.PostJsonAsync($"/api/v1/messages/{message}/feedback", """{"rating":-1,"score":2,"comment":"not quite"}""");

        JsonElement item = Assert.Single((await _platform.Client.GetJsonAsync($"/api/v1/feedback?message={message}")).GetProperty("data").EnumerateArray());
        Assert.Equal((-1, 2, "not quite"), (item.GetProperty("rating").GetInt32(), item.GetProperty("score").GetInt32(), item.GetProperty("comment").GetString()));
        using HttpResponseMessage wrong = await _platform.Client.PostAsync($"/api/v1/messages/{message}/feedback", """{"rating":5}""");
        Assert.Equal(HttpStatusCode.BadRequest, wrong.StatusCode);
    }

    private Task<JsonElement> ChatAsync(string model) => _platform.Client.PostJsonAsync("/v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"user","content":"hi"}]}""");
}
