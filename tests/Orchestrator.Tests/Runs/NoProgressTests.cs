using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>What goes round without getting anywhere is stopped; what moves goes on.</summary>
public sealed class NoProgressTests : IAsyncLifetime
{
    private readonly TestWorkflows _workflows = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows));
        foreach (string slug in (string[])["helper", "critic", "boss"]) await _host.Alpha.CreateAgentAsync(slug);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Theory]
    [InlineData("aaa", 3, 1)]
    [InlineData("xabcaaa", 3, 1)]
    [InlineData("ababab", 3, 2)]
    [InlineData("abab", 2, 2)]
    [InlineData("abcdabcd", 2, 4)]
    [InlineData("aabaab", 3, null)]
    [InlineData("abcdefghij", 2, null)]
    [InlineData("aaaaaaaa", 0, null)]
    [InlineData("abcdeabcde", 2, null)]
    public void Guard_OfStates_SeesThoseThatComeInTurn(string states, int limit, int? turn)
    {
        var guard = new ProgressGuard(limit);
        int?[] seen = [.. states.Select(s => guard.Note(s.ToString()))];

        Assert.Equal(turn, seen[^1]);
        Assert.All(seen[..^1], s => Assert.Null(s));
    }

    [Fact]
    public void Hash_OfParts_KeepsThemApart()
    {
        Assert.Equal(ProgressGuard.Hash("a", "b"), ProgressGuard.Hash("a", "b"));
        Assert.Distinct([ProgressGuard.Hash("ab"), ProgressGuard.Hash("a", "b"), ProgressGuard.Hash("a", "b", null), ProgressGuard.Hash("a", "b", "")]);
    }

    [Fact]
    public async Task Handoffs_ToAndFro_WithNothingNew_AreStopped()
    {
        _workflows.Add("w", "  - {id: desk, type: handoff, start: helper, agents: [critic], message: hi, maxHandoffs: 9, visible: last}");
        _host.Model.Default = (request, _) => Task.FromResult(FakeAnswer.Says(request.LastContent.Contains("There are: critic.", StringComparison.Ordinal) ? "HANDOFF: critic" : "HANDOFF: helper"));

        await StopsAsync("handoff", states: 2, times: 2);
        Assert.Equal(4, _host.Model.Requests.Count);
    }

    [Fact]
    public async Task Handoffs_ThatAddSomething_GoOn()
    {
        int turn = 0;
        _workflows.Add("w", "  - {id: desk, type: handoff, start: helper, agents: [critic], message: hi, maxHandoffs: 6, visible: last}");
        _host.Model.Default = (request, _) => Task.FromResult(FakeAnswer.Says($"Step {++turn}.\nHANDOFF: {(request.LastContent.Contains("There are: critic.", StringComparison.Ordinal) ? "critic" : "helper")}"));

        Assert.Equal("completed", (await RunAsync()).Text("status"));
        Assert.Equal(7, turn);
    }

    [Fact]
    public async Task GroupChat_ThatSaysTheSameEachRound_IsStopped()
    {
        _workflows.Add("w", "  - {id: talk, type: group_chat, agents: [helper, critic], order: round_robin, message: topic, maxRounds: 20}");

        await StopsAsync("group_chat", states: 1, times: 5);
        Assert.Equal(10, _host.Model.Requests.Count);
    }

    [Fact]
    public async Task Loop_WhoseAgentSaysTheSame_IsStopped_AndOneThatMovesGoesOn()
    {
        _workflows.Add("w", """
              - id: round
                type: loop
                until: steps.ask.output contains "12"
                maxIterations: 50
                steps: [{id: ask, type: agent, agent: helper, message: "Go on"}]
            """);
        int answers = 0;
        _host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says($"at {++answers}"));
        Assert.Equal("\"at 12\"", (await RunAsync()).GetProperty("output").GetRawText());

        _host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("nothing"));
        await StopsAsync("loop", states: 1, times: 5);
    }

    [Theory]
    [InlineData("until: iteration >= 11", "{id: ask, type: agent, agent: helper, message: Go on}", "")]
    [InlineData("until: steps.ask.output == 1", "{id: ask, type: agent, agent: helper, message: \"Go on {{ iteration }}\"}", "")]
    [InlineData("until: steps.ask.output == 1", "{id: rest, type: wait, seconds: 0.001}, {id: ask, type: agent, agent: helper, message: Go on}", "")]
    [InlineData("until: blackboard.n >= 12", "{id: ask, type: agent, agent: helper, message: Go on, set: {n: 1}}", "blackboard: {n: {schema: {type: integer}, merge: sum, initial: 0}}")]
    public async Task Loop_ThatCountsAsksOtherwiseWaitsOrWrites_GoesOn(string condition, string steps, string more)
    {
        _workflows.Add("w", $"  - {{id: round, type: loop, {condition}, maxIterations: 12, steps: [{steps}]}}", more);

        Assert.Equal("completed", (await RunAsync()).Text("status"));
        Assert.Equal(12, _host.Model.Requests.Count);
    }

    [Fact]
    public async Task Agents_ThatAskEachOtherTheSame_AreToldThatItIsACircle()
    {
        await _host.Alpha.CreateAgentAsync("left");
        await _host.Alpha.CreateAgentAsync("right", new { tools = new[] { new { name = "agent/left" } } });
        (int status, JsonElement body, _) = await _host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/left", new { name = "left", model = "fake/model", tools = new[] { new { name = "agent/right" } } });
        Assert.True(status == 200, body.GetRawText());
        _host.Model.Default = (request, _) => Task.FromResult(request.Roles[^1] == "tool" ? FakeAnswer.Says(request.LastContent)
            : FakeAnswer.Calling(request.Call.Usage.Agent == "left" ? "agent__right" : "agent__left", """{"message":"Who knows?"}"""));

        (_, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "left", message = "Who knows?" });

        Assert.Equal("completed", run.Text("status"));
        Assert.Equal(4, _host.Model.Requests.Count);
        Assert.Contains("goes round in a circle", _host.Model.Requests.Last().LastContent, StringComparison.Ordinal);
        JsonElement right = Assert.Single((await _host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run.Text("id")}")).Body.GetProperty("data").EnumerateArray());
        JsonElement[] log = [.. await LogAsync(right.Text("id"))];
        Assert.Equal("no_progress", log.Single(e => e.Text("type") == "tool_call.completed").GetProperty("data").Text("code"));
        Assert.Equal("sub_run", log.Single(e => e.Text("type") == "no_progress.detected").GetProperty("data").Text("kind"));
    }

    [Fact]
    public async Task Agent_ThatGetsTheSameAnswerAgainAndAgain_Stops()
    {
        await _host.Alpha.CreateAgentAsync("lead", new { tools = new[] { new { name = "agent/helper" }, new { name = "calculator" } }, limits = new { maxSteps = 40 } });
        int asked = 0;
        _host.Model.Default = (request, _) => Task.FromResult(request.Call.Usage.Agent == "helper" ? FakeAnswer.Says("No idea.")
            : ++asked % 2 == 1 ? FakeAnswer.Calling("agent__helper", """{"message":"Well?"}""") : FakeAnswer.Calling("calculator", JsonSerializer.Serialize(new { expression = $"1+{asked}" })));

        (_, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "lead", message = "Find out" });

        Assert.Equal(("completed", "no_progress"), (run.Text("status"), run.Text("reason")));
        Assert.Equal(9, asked);
        JsonElement detected = Assert.Single(await LogAsync(run.Text("id")), e => e.Text("type") == "no_progress.detected").GetProperty("data");
        Assert.Equal(("sub_run", 5), (detected.Text("kind"), detected.GetProperty("times").GetInt32()));
    }

    private async Task StopsAsync(string kind, int states, int times)
    {
        JsonElement run = await RunAsync();
        Assert.True(run.Text("status") == "failed" && run.Text("error", "code") == "no_progress", run.ToString());
        JsonElement detected = Assert.Single(await LogAsync(run.Text("id")), e => e.Text("type") == "no_progress.detected").GetProperty("data");
        Assert.Equal((kind, states, times), (detected.Text("kind"), detected.GetProperty("states").GetInt32(), detected.GetProperty("times").GetInt32()));
    }

    private async Task<JsonElement> RunAsync() => (await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=30", new { workflow = "w", inputs = new { } })).Body;

    private async Task<JsonElement[]> LogAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
}
