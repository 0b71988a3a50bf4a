using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Completions;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Memory;

/// <summary>Agents that keep facts in mind, and people who look after them.</summary>
public sealed class MemoryRunTests : IAsyncLifetime
{
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        foreach (HttpClient client in (HttpClient[])[_host.Alpha, _host.Beta])
            await client.CreateAgentAsync("mind", new { tools = new[] { new { name = "remember" }, new { name = "recall" }, new { name = "forget" } } });
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Facts_AreKeptForTheirUser_AndForTheAgent_AndForNobodyElse()
    {
        string run = await AskAsync("ann", "remember", """{"fact":"Has an allergy to nuts"}""");
        await AskAsync("ann", "remember", """{"fact":"Refunds need a receipt","about":"agent"}""");

        Assert.Matches(@"^mem_\w+ \(\d{4}-\d\d-\d\d\): Has an allergy to nuts\n$", await ResultAsync("ann", "recall", """{"question":"any allergies?"}"""));
        Assert.Contains("Refunds need a receipt", await ResultAsync("bob", "recall", "{}"), StringComparison.Ordinal);
        Assert.DoesNotContain("nuts", await ResultAsync("bob", "recall", "{}"), StringComparison.Ordinal);
        Assert.Equal("Nothing is known.", await ResultAsync("ann", "recall", """{"question":"nuts"}""", _host.Beta));
        JsonElement fact = Assert.Single(await ListAsync("?user=ann"));
        Assert.Equal(("mind", run, "Has an allergy to nuts", 1), (fact.Text("writtenBy"), fact.Text("runId"), fact.Text("text"), fact.GetProperty("uses").GetInt32()));
    }

    [Fact]
    public async Task User_OfACompletion_IsWhoTheClientNames_AndWithoutAnyNothingIsKept()
    {
        foreach (string? user in (string?[])["carl", null])
        {
            _host.Model.Script(FakeAnswer.Calling("remember", """{"fact":"Likes tea"}"""));
            await AgentCompletionsTests.CompleteAsync(_host, $$"""{"messages":[{"role":"user","content":"Hi"}]{{(user is null ? "" : $",\"user\":\"{user}\"")}}}""", agent: "mind");
        }

        Assert.Equal("It is not known who the user is, so that nothing can be kept about them.", _host.Model.Requests.Last().LastContent);
        Assert.Equal("carl", Assert.Single(await ListAsync("")).Text("user"));
    }

    [Fact]
    public async Task User_WhoMadeTheKey_IsNotWhoIsBehindIt()
    {
        using HttpClient client = _host.Client("alpha-user");
        _host.Model.Script(FakeAnswer.Calling("remember", """{"fact":"Likes tea"}"""));
        await client.PostJsonAsync("/api/v1/chat", new { agent = "mind", message = "go" });

        Assert.StartsWith("It is not known who the user is", _host.Model.Requests.Last().LastContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Forget_TakesOwnFactsOnly()
    {
        await AskAsync("ann", "remember", """{"fact":"Likes tea"}""");
        string id = Assert.Single(await ListAsync("?user=ann")).Text("id");

        Assert.StartsWith("There is no such fact", await ResultAsync("bob", "forget", $$"""{"id":"{{id}}"}"""), StringComparison.Ordinal);
        Assert.Equal("Forgotten.", await ResultAsync("ann", "forget", $$"""{"id":"{{id}}"}"""));
        Assert.Empty(await ListAsync(""));
    }

    [Fact]
    public async Task People_WriteFind_Correct_AndEraseFacts()
    {
        (int made, JsonElement fact, _) = await _host.Alpha.PostJsonAsync("/api/v1/memories", new { user = "ann", text = " Speaks Thai " });
        await _host.Alpha.PostJsonAsync("/api/v1/memories", new { user = "ann", text = "Has two cats" });
        await _host.Alpha.PostJsonAsync("/api/v1/memories", new { agent = "mind", text = "Be polite" });
        string path = $"/api/v1/memories/{fact.Text("id")}";
        (int foreign, _, _) = await _host.Beta.GetJsonAsync(path);
        (int changed, JsonElement view, _) = await _host.Alpha.SendAsync(HttpMethod.Patch, path, new { text = "Speaks Lao" });
        (int known, _, _) = await _host.Alpha.SendAsync(HttpMethod.Patch, path, new { text = "has two CATS" });
        (int nobody, _, _) = await _host.Alpha.SendAsync(HttpMethod.Delete, "/api/v1/memories", null);

        Assert.Equal((201, "Speaks Thai", 404, 200, "Speaks Lao", 409, 400), (made, fact.Text("text"), foreign, changed, view.Text("text"), known, nobody));
        Assert.Equal("Has two cats", Assert.Single(await ListAsync("?user=ann&q=cat")).Text("text"));
        (_, JsonElement erased, _) = await _host.Alpha.SendAsync(HttpMethod.Delete, "/api/v1/memories?user=ann", null);
        Assert.Equal(2, erased.GetProperty("count").GetInt32());
        Assert.Equal("mind", Assert.Single(await ListAsync("")).Text("agent"));
    }

    [Theory]
    [InlineData("""{"text":"x y"}""")]
    [InlineData("""{"user":"a","agent":"b","text":"x y"}""")]
    [InlineData("""{"user":"a","text":"  x "}""")]
    [InlineData("""{"user":"","text":"fine"}""")]
    public async Task Fact_ThatIsNone_IsRefused(string body) => Assert.Equal(400, (await _host.Alpha.PostJsonAsync("/api/v1/memories", JsonDocument.Parse(body).RootElement)).Status);

    private async Task<string> AskAsync(string user, string tool, string arguments, HttpClient? client = null)
    {
        _host.Model.Script(FakeAnswer.Calling(tool, arguments));
        (int status, JsonElement chat, _) = await (client ?? _host.Alpha).PostJsonAsync("/api/v1/chat", new { agent = "mind", message = "go", metadata = new { user_id = user } });
        Assert.True(status == 200, chat.ToString());
        return chat.Text("runId");
    }

    private async Task<string> ResultAsync(string user, string tool, string arguments, HttpClient? client = null)
    {
        await AskAsync(user, tool, arguments, client);
        return _host.Model.Requests.Last().LastContent;
    }

    private async Task<JsonElement[]> ListAsync(string query) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/memories{query}")).Body.GetProperty("data").EnumerateArray()];
}
