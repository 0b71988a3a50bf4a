using System.Net;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MultiAgent.Platform.Integration.Tests.Tracking;

/// <summary>Journeys that clients record and those that the platform records of every chat.</summary>
public sealed class JourneyTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync() => _platform = await TestPlatform.StartAsync();

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Fact]
    public async Task Journey_FromStartToEnd_KeepsStepsAndSurvivesARestart()
    {
        JsonElement started = await PostAsync("", """{"type":"checkout","userId":"u-7","metadata":{"cart":"42"}}""", HttpStatusCode.Created);
        string id = started.GetProperty("id").GetString()!;
        await PostAsync($"/{id}/steps", """{"name":"address"}""");
        await PostAsync($"/{id}/steps", """{"name":"payment","metadata":{"card":"yes"}}""");
        await _platform.RestartAsync();
        JsonElement between = await _platform.Client.GetJsonAsync($"/api/v1/journeys/{id}");
        JsonElement ended = await PostAsync($"/{id}/complete", """{"reason":"paid"}""");

        Assert.Equal(("active", 2), (between.GetProperty("status").GetString(), between.GetProperty("stepCount").GetInt32()));
        Assert.Equal(("completed", "paid", "u-7"), (ended.GetProperty("status").GetString(), ended.GetProperty("reason").GetString(), ended.GetProperty("userId").GetString()));
        Assert.Equal(["address", "payment"], ended.GetProperty("steps").EnumerateArray().Select(s => s.GetProperty("name").GetString()));
        Assert.True(ended.GetProperty("durationMs").GetDouble() >= 0);
        using HttpResponseMessage again = await _platform.Client.PostAsync($"/api/v1/journeys/{id}/steps", """{"name":"late"}""");
        Assert.Equal(HttpStatusCode.Conflict, again.StatusCode);
    }

    [Fact]
    public async Task Journey_OfTextsThatJsonEscapes_KeepsThemAsTheyCame()
    {
        const string Text = "a \"b\" \\ \n ü 🙂 </script>";
        string quoted = JsonSerializer.Serialize(Text);
        JsonElement started = await PostAsync("", $$"""{"type":{{quoted}},"userId":{{quoted}},"metadata":{"k \"1\"":{{quoted}},"2":""} }""", HttpStatusCode.Created);
        JsonElement stepped = await PostAsync($"/{started.GetProperty("id").GetString()}/steps", $$"""{"name":{{quoted}},"metadata":{} }""");
        JsonElement ended = await PostAsync($"/{started.GetProperty("id").GetString()}/abandon", $$"""{"reason":{{quoted}}}""");

        Assert.Equal((Text, Text, Text), (ended.GetProperty("type").GetString(), ended.GetProperty("userId").GetString(), ended.GetProperty("reason").GetString()));
        Assert.Equal((Text, ""), (ended.GetProperty("metadata").GetProperty("k \"1\"").GetString(), ended.GetProperty("metadata").GetProperty("2").GetString()));
        JsonElement step = Assert.Single(stepped.GetProperty("steps").EnumerateArray());
        Assert.Equal(Text, step.GetProperty("name").GetString());
        Assert.False(step.TryGetProperty("metadata", out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("""{"type":""}""")]
    [InlineData("""{"type":"x","metadata":{"k":null}}""")]
    [InlineData("""{"type":5}""")]
    public async Task Journey_WithAWrongBody_IsRefused(string body)
    {
        using HttpResponseMessage response = await _platform.Client.PostAsync("/api/v1/journeys", body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Chats_OfEachOutcome_AreJourneys()
    {
        _platform.Provider.For("bad", FakeProvider.Error(400));
        var begun = new TaskCompletionSource();
        _platform.Provider.For("left", async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "left", new { content = "a" });
            begun.SetResult();
            await FakeProvider.UntilAbortedAsync(context);
        });

        await _platform.Client.PostJsonAsync("/v1/chat/completions", Chat("good", ""","user":"end-user" """));
        using (await _platform.Client.PostAsync("/v1/chat/completions", Chat("bad"))) { }
        HttpResponseMessage left = await _platform.Client.PostStreamAsync("/v1/chat/completions", Chat("left", ""","stream":true"""));
        await begun.Task.WaitAsync(Eventually.Deadline);
        left.Dispose();
        await _platform.Client.PostJsonAsync("/v1/chat/completions", """{"model":"agent/helper","messages":[{"role":"user","content":"hi"}]}""");
        await _platform.Client.PostJsonAsync("/api/v1/chat", """{"agent":"helper","message":"hi","stream":false}""");

        JsonElement[] journeys = [];
        // A run's end and its steps come on two ways, and either may be first.
        await Eventually.TrueAsync(async () => (journeys = await ListAsync("?type=chat")).Count(j => j.GetProperty("status").GetString() != "active" && j.GetProperty("stepCount").GetInt32() > 0) == 5, "five journeys with their steps");
        Assert.Equal(["abandoned", "completed", "completed", "completed", "failed"], journeys.Select(j => j.GetProperty("status").GetString()).Order());
        Assert.Single(journeys, j => j.TryGetProperty("userId", out JsonElement user) && user.GetString() == "end-user");
    }

    [Fact]
    public async Task Chats_WithTheHeader_AreStepsOfTheClientsJourney()
    {
        string id = (await PostAsync("", """{"type":"onboarding"}""", HttpStatusCode.Created)).GetProperty("id").GetString()!;
        using (await _platform.Client.PostAsync("/v1/chat/completions", Chat("any"), ("X-Journey-Id", id))) { }
        using (await _platform.Client.PostAsync("/v1/chat/completions", """{"model":"agent/helper","messages":[{"role":"user","content":"hi"}]}""", ("X-Journey-Id", id))) { }

        JsonElement journey = default;
        await Eventually.TrueAsync(async () => (journey = await _platform.Client.GetJsonAsync($"/api/v1/journeys/{id}")).GetProperty("stepCount").GetInt32() == 2, "two steps");
        Assert.Equal("active", journey.GetProperty("status").GetString());
        Assert.Equal(["agent/helper", "chat.completed"], journey.GetProperty("steps").EnumerateArray().Select(s => s.GetProperty("name").GetString()!).Order());
    }

    [Fact]
    public async Task Journeys_InAList_AreFilteredAndPaged()
    {
        for (int i = 0; i < 5; i++) await PostAsync("", $$"""{"type":"{{(i % 2 == 0 ? "even" : "odd")}}","userId":"u{{i}}"}""", HttpStatusCode.Created);

        Assert.Equal(3, (await ListAsync("?type=even")).Length);
        Assert.Single(await ListAsync("?userId=u4"));
        Assert.Equal(5, (await ListAsync("?status=active")).Length);
        Assert.Empty(await ListAsync("?to=2020-01-01T00:00:00Z&from=2019-12-01T00:00:00Z"));
        var seen = new List<string>();
        string? cursor = null;
        do
        {
            JsonElement page = await _platform.Client.GetJsonAsync($"/api/v1/journeys?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}");
            seen.AddRange(page.GetProperty("data").EnumerateArray().Select(j => j.GetProperty("id").GetString()!));
            cursor = page.TryGetProperty("nextCursor", out JsonElement next) ? next.GetString() : null;
        }
        while (cursor is not null);
        Assert.Equal(5, seen.Distinct().Count());
        Assert.Equal(seen.OrderDescending(StringComparer.Ordinal), seen);
        foreach (string wrong in (string[])["limit=0", "limit=201", "cursor=%21%21", "status=lost", "from=2026-02-02T00:00:00Z&to=2026-02-01T00:00:00Z", "from=yesterday"])
        {
            using HttpResponseMessage response = await _platform.Client.GetAsync($"/api/v1/journeys?{wrong}");
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }
    }

    [Fact]
    public async Task Journey_WithoutAStepForLong_IsAbandoned()
    {
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using TestPlatform platform = await TestPlatform.StartAsync(
            new Dictionary<string, string?> { ["Journeys:AbandonAfterMinutes"] = "1", ["Journeys:SweepSeconds"] = "1" }, services => services.AddSingleton<TimeProvider>(time));
        JsonElement silent = await platform.Client.PostJsonAsync("/api/v1/journeys", """{"type":"silent"}""", HttpStatusCode.Created);
        time.Advance(TimeSpan.FromSeconds(50));
        JsonElement busy = await platform.Client.PostJsonAsync("/api/v1/journeys", """{"type":"busy"}""", HttpStatusCode.Created);
        time.Advance(TimeSpan.FromSeconds(12));

        JsonElement ended = default;
        await Eventually.TrueAsync(async () =>
        {
            ended = await platform.Client.GetJsonAsync($"/api/v1/journeys/{silent.GetProperty("id").GetString()}");
            // The sweep may have begun before the clock was moved; the next one finds it.
            if (ended.GetProperty("status").GetString() == "active") time.Advance(TimeSpan.FromSeconds(1));
            return ended.GetProperty("status").GetString() != "active";
        }, "the silent journey is abandoned");

        Assert.Equal(("abandoned", "timeout"), (ended.GetProperty("status").GetString(), ended.GetProperty("reason").GetString()));
        Assert.Equal("active", (await platform.Client.GetJsonAsync($"/api/v1/journeys/{busy.GetProperty("id").GetString()}")).GetProperty("status").GetString());
    }

    private static string Chat(string model, string more = "") => $$"""{"model":"fake/{{model}}","messages":[{"role":"user","content":"hi"}]{{more}}}""";

    private Task<JsonElement> PostAsync(string path, string body, HttpStatusCode status = HttpStatusCode.OK) => _platform.Client.PostJsonAsync($"/api/v1/journeys{path}", body, status);

    private async Task<JsonElement[]> ListAsync(string query) => [.. (await _platform.Client.GetJsonAsync($"/api/v1/journeys{query}")).GetProperty("data").EnumerateArray()];
}
