using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

[Trait("Database", "once")]
public sealed class ToolLoopTests
{
    private static readonly object Tools = new { tools = new[] { new { name = "calculator" }, new { name = "current_time" } } };

    [Fact]
    public async Task Tool_Called_ResultGoesBackToTheModelAndEventsAreStreamed()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: Tools);
        host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"2+3*4"}"""), FakeAnswer.Says("It is 14."));

        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "2+3*4?", stream = true });
        List<SseEvent> events = await reader.AllAsync();

        Assert.Equal(["run.started", "tool_call.started", "tool_call.completed", "message.delta", "message.completed", "run.completed"], events.Select(e => e.Name));
        Assert.Equal("calculator", events[1].Json.Text("name"));
        Assert.Equal("""{"expression":"2+3*4"}""", events[1].Json.Text("arguments"));
        Assert.Equal("14", events[2].Json.Text("result"));
        Assert.False(events[2].Json.GetProperty("isError").GetBoolean());
        SeenRequest second = host.Model.Requests.Last();
        Assert.Equal(["system", "user", "assistant", "tool"], second.Roles);
        Assert.Equal("14", second.LastContent);
        Assert.Equal("call_1", second.Messages[^1].Text("tool_call_id"));
        Assert.Equal(10, events[4].Json.GetProperty("usage").GetProperty("inputTokens").GetInt64());
    }

    [Theory]
    [InlineData("calculator", "{}", "'expression' is required")]
    [InlineData("calculator", """{"expression":"1","x":1}""", "'x' is not a parameter")]
    [InlineData("calculator", """{"expression":1}""", "do not fit the schema")]
    [InlineData("calculator", "{", "not valid JSON")]
    [InlineData("calculator", "[]", "must be a JSON object")]
    [InlineData("calculator", """{"expression":"2+"}""", "ends where a value is expected")]
    [InlineData("nothing", "{}", "There is no tool 'nothing'. There are: calculator, current_time.")]
    [InlineData("current_time", """{"timezone":"Mars/Base"}""", "'Mars/Base' is not a known time zone")]
    public async Task Tool_WrongCall_ErrorGoesBackToTheModel(string name, string arguments, string expected)
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: Tools);
        host.Model.Script(FakeAnswer.Calling(name, arguments), FakeAnswer.Says("Sorry."));

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Go" });

        Assert.Equal(200, status);
        Assert.Equal("Sorry.", body.Text("message", "content"));
        Assert.Contains(expected, host.Model.Requests.Last().LastContent);
    }

    [Fact]
    public async Task Loop_SameCallThreeTimes_StopsAndSaysWhy()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: Tools);
        // White space and the order of members do not make it another call.
        host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"1"}"""), FakeAnswer.Calling("calculator", """{ "expression": "1" }"""), FakeAnswer.Calling("calculator", """{"expression":"1"}"""));

        await AssertStopsAsync(host, "repeated_tool_call", "same tool with the same arguments", 3);
    }

    [Fact]
    public async Task Loop_TwoCallsInTurn_StopsAndSaysWhy()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: Tools);
        for (int i = 0; i < 3; i++) host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"1"}"""), FakeAnswer.Calling("current_time", "{}"));

        await AssertStopsAsync(host, "oscillation", "back and forth", 6);
    }

    [Theory]
    [InlineData("""{"maxSteps":2}""", "max_steps", "limit of 2 steps", 2)]
    [InlineData("""{"maxTokens":14}""", "max_tokens", "limit of 14 tokens", 2)]
    [InlineData("""{"maxCostUsd":0.003}""", "max_cost", "limit of 0.003 US dollars", 3)]
    public async Task Loop_Limit_StopsAndSaysWhy(string limits, string reason, string note, int calls)
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } }, limits = JsonDocument.Parse(limits).RootElement });
        int n = 0;
        host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Calling("calculator", $$"""{"expression":"{{n++}}"}"""));

        await AssertStopsAsync(host, reason, note, calls);
    }

    [Fact]
    public async Task Loop_CostLimitWithAnUnknownPrice_StopsRatherThanSpend()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } }, limits = new { maxCostUsd = 1 } });
        host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Calling("calculator", """{"expression":"1"}""") with { CostUsd = null });

        await AssertStopsAsync(host, "cost_unknown", "the price of the model that it uses is not known", 1);
    }

    [Fact]
    public async Task Loop_TimeIsUp_StopsWithTheTextSoFar()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { limits = new { maxSeconds = 1 } });
        host.Model.Script(FakeAnswer.Says("Half", "Rest") with { Gate = (i, ct) => i == 1 ? Task.Delay(Timeout.Infinite, ct) : Task.CompletedTask });

        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Go", stream = true });
        List<SseEvent> events = await reader.AllAsync();

        const string Expected = "Half\n\nI stopped here: this run reached its limit of 1 seconds.";
        Assert.Equal(Expected, string.Concat(events.Where(e => e.Name == "message.delta").Select(e => e.Json.Text("text"))));
        Assert.Equal(Expected, events.Single(e => e.Name == "message.completed").Json.Text("text"));
        Assert.Equal("max_seconds", events[^1].Json.Text("reason"));
        Assert.True(await host.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
    }

    [Fact]
    public async Task Loop_LargeResult_IsCutWithANote()
    {
        string result = MultiAgent.Orchestrator.Runs.ToolRunner.Bound(new string('ü', 100_000));

        Assert.EndsWith("[cut: the result is larger than 65536 bytes]", result);
        Assert.Equal(32_768, result.Count(c => c == 'ü'));
        await Task.CompletedTask;
    }

    [Fact]
    public async Task Tools_ParallelCalls_AllResultsFollowTheirMessage()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: Tools);
        host.Model.Script(new FakeAnswer { Pieces = ["Let me see."], Calls = [("a", "calculator", """{"expression":"1+1"}"""), ("b", "calculator", """{"expression":"2+2"}""")] });

        (_, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Go" });

        SeenRequest second = host.Model.Requests.Last();
        Assert.Equal(["system", "user", "assistant", "tool", "tool"], second.Roles);
        Assert.Equal(["2", "4"], second.Messages[3..].Select(m => m.Text("content")));
        (_, JsonElement visible, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{body.Text("conversationId")}/messages");
        Assert.Equal(["user", "assistant"], visible.GetProperty("data").EnumerateArray().Select(m => m.Text("role")));
        (_, JsonElement all, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{body.Text("conversationId")}/messages?tools=true");
        Assert.Equal(["user", "assistant", "tool", "tool", "assistant"], all.GetProperty("data").EnumerateArray().Select(m => m.Text("role")));
    }

    [Fact]
    public async Task ResponseFormat_AnswerDoesNotFit_IsAskedForOnceMore()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { responseFormat = new { type = "object", properties = new { n = new { type = "integer" } }, required = new[] { "n" } } });
        host.Model.Script(FakeAnswer.Says("not json"), FakeAnswer.Says("""{"n":1}"""));

        (_, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Go" });

        Assert.Equal("""{"n":1}""", body.Text("message", "content"));
        Assert.Equal("json_schema", host.Model.Requests.First().Body.Text("response_format", "type"));
        Assert.Contains("does not follow the required JSON schema", host.Model.Requests.Last().LastContent);
    }

    private static async Task AssertStopsAsync(TestHost host, string reason, string note, int modelCalls)
    {
        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Go" });
        Assert.Equal(200, status);
        Assert.Equal("completed", body.Text("status"));
        Assert.Equal(reason, body.Text("reason"));
        Assert.Contains(note, body.Text("message", "content"));
        Assert.Equal(modelCalls, host.Model.Requests.Count);
        (_, JsonElement events, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{body.Text("runId")}/events?limit=200", ("Accept", "application/json"));
        Assert.Contains(events.GetProperty("data").EnumerateArray(), e => e.Text("type") == "limit.reached" && e.Text("data", "reason") == reason);
    }
}
