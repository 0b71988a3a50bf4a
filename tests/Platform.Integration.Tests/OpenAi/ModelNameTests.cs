using System.Net;
using System.Text.Json;

namespace MultiAgent.Platform.Integration.Tests.OpenAi;

/// <summary>Which model a name leads to, and what the list of models says.</summary>
[Trait("Database", "once")]
public sealed class ModelNameTests : IAsyncLifetime
{
    private TestPlatform _platform = null!;

    public async ValueTask InitializeAsync() => _platform = await TestPlatform.StartAsync(new Dictionary<string, string?>
    {
        ["Models:Aliases:house-model"] = TestPlatform.Priced,
        ["Models:Aliases:second-name"] = "house-model",
        ["Models:Catalogue:fake/cheap:Tier"] = "balanced",
        ["Models:Catalogue:fake/cheap:InputPrice"] = "1",
        ["Models:Catalogue:fake/cheap:OutputPrice"] = "1",
        ["Models:Catalogue:fake/dear:Tier"] = "balanced",
        ["Models:Catalogue:fake/dear:InputPrice"] = "9",
        ["Models:Catalogue:fake/dear:OutputPrice"] = "9",
        ["Models:Resilience:MaxRetries"] = "0",
        ["Models:Resilience:BreakAfterFailures"] = "1",
    });

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Theory]
    [InlineData("fake/priced", "priced")]
    [InlineData("fake/not-in-the-catalogue", "not-in-the-catalogue")]
    [InlineData("fake/with/slashes:and-colon", "with/slashes:and-colon")]
    [InlineData("house-model", "priced")]
    [InlineData("second-name", "priced")]
    [InlineData("auto", "cheap")]
    [InlineData("auto/balanced", "cheap")]
    public async Task ModelName_OfEachKind_ReachesItsModel(string name, string upstream)
    {
        using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/chat/completions", Chat(name));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(upstream, JsonDocument.Parse(_platform.Provider.Requests.Last().Body).RootElement.GetProperty("model").GetString());
    }

    [Fact]
    public async Task Auto_WhenTheCheapestFails_TakesTheNextHealthyOne()
    {
        _platform.Provider.For("cheap", FakeProvider.Error(500));

        using HttpResponseMessage first = await _platform.Client.PostAsync("/v1/chat/completions", Chat("auto"));
        using HttpResponseMessage second = await _platform.Client.PostAsync("/v1/chat/completions", Chat("auto"));

        Assert.Equal("fake/dear", first.Headers.GetValues("x-maap-model").Single());
        // The circuit of the cheap one is open: it is not even tried.
        Assert.Equal("fake/dear", second.Headers.GetValues("x-maap-model").Single());
        Assert.Single(_platform.Provider.RequestsFor("cheap"));
    }

    [Theory]
    [InlineData("no-such-model")]
    [InlineData("nowhere/model")]
    [InlineData("local/unknown")]
    [InlineData("agent/no-such-agent")]
    public async Task ModelName_ThatLeadsNowhere_Gets404InTheOpenAiShape(string name)
    {
        using HttpResponseMessage response = await _platform.Client.PostAsync("/v1/chat/completions", Chat(name));
        JsonElement error = (await response.ReadJsonAsync()).GetProperty("error");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(["code", "message", "param", "type"], error.EnumerateObject().Select(p => p.Name).Order());
        Assert.Equal("invalid_request_error", error.GetProperty("type").GetString());
        Assert.Contains(error.GetProperty("code").GetString(), new[] { "model_not_found", "agent_not_found" });
    }

    [Fact]
    public async Task Agent_OverTheOpenAiSurface_AnswersAndStreams()
    {
        JsonElement answer = await _platform.Client.PostJsonAsync("/v1/chat/completions", Chat("agent/helper", "What is 12 * (3 + 4)?"));
        using HttpResponseMessage stream = await _platform.Client.PostStreamAsync("/v1/chat/completions", Chat("agent/helper", "What is 12 * (3 + 4)?", ""","stream":true"""));
        string events = await stream.Content.ReadAsStringAsync();

        Assert.Contains("84", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), StringComparison.Ordinal);
        Assert.Contains("84", Sse.Text(Sse.Chunks(events)), StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", events, StringComparison.Ordinal);
        Assert.StartsWith("run_", stream.Headers.GetValues("x-maap-run-id").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ModelList_OfATenant_HoldsAutoModelsAliasesAndItsAgents()
    {
        JsonElement list = await _platform.Client.GetJsonAsync("/v1/models");

        Assert.Equal("list", list.GetProperty("object").GetString());
        string[] ids = [.. list.GetProperty("data").EnumerateArray().Select(m => m.GetProperty("id").GetString()!)];
        Assert.Empty(new[] { "auto", "fake/priced", "fake/cheap", "house-model", "agent/helper", "local/assistant", "local/embeddings" }.Except(ids));
        Assert.All(list.GetProperty("data").EnumerateArray(), m =>
        {
            Assert.Equal("model", m.GetProperty("object").GetString());
            Assert.True(m.GetProperty("created").GetInt64() > 1_600_000_000);
            Assert.False(string.IsNullOrEmpty(m.GetProperty("owned_by").GetString()));
        });
    }

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("fake%2Fpriced")]
    [InlineData("agent%2Fhelper")]
    [InlineData("agent/helper")]
    [InlineData("house-model")]
    [InlineData("auto")]
    public async Task Model_ByRawOrEncodedId_IsFound(string id)
    {
        JsonElement model = await _platform.Client.GetJsonAsync($"/v1/models/{id}");

        Assert.Equal(Uri.UnescapeDataString(id), model.GetProperty("id").GetString());
    }

    [Fact]
    public async Task Model_ThatIsNotListed_Gets404()
    {
        using HttpResponseMessage response = await _platform.Client.GetAsync("/v1/models/fake%2Funlisted");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal("model_not_found", (await response.ReadJsonAsync()).GetProperty("error").GetProperty("code").GetString());
    }

    private static string Chat(string model, string text = "hi", string more = "") => $$"""{"model":"{{model}}","messages":[{"role":"user","content":"{{text}}"}]{{more}}}""";
}
