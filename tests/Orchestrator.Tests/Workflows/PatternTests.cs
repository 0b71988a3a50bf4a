using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Several agents that work together, with a scripted model.</summary>
public sealed class PatternTests : IAsyncLifetime
{
    private readonly TestWorkflows _workflows = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows));
        foreach (string slug in (string[])["helper", "critic", "boss"]) await _host.Alpha.CreateAgentAsync(slug);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task GroupChat_WithAManager_LetsTheChosenSpeakUntilDone()
    {
        _workflows.Add("w", "  - {id: talk, type: group_chat, agents: [helper, critic], manager: boss, message: the topic}");
        Says("critic", "I object", "helper", "I agree", "DONE");

        JsonElement output = await RunAsync();

        Assert.Equal("""{"messages":[{"agent":"critic","content":"I object"},{"agent":"helper","content":"I agree"}],"final":"I agree"}""", output.GetRawText());
        Assert.Contains("critic: I object", _host.Model.Requests.Last().LastContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Debate_OverRounds_IsDecidedByTheJudge()
    {
        _workflows.Add("w", "  - {id: talk, type: debate, agents: [helper, critic], judge: boss, rounds: 2, message: yes or no}");
        Says("yes", "no", "yes indeed", "never", "it is yes");

        Assert.Equal("it is yes", (await RunAsync()).GetString());
        SeenRequest[] requests = [.. _host.Model.Requests];
        Assert.Contains("critic: no", requests[2].LastContent, StringComparison.Ordinal);
        Assert.Contains("helper: yes indeed\ncritic: never", requests[4].LastContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Plan_WhoseTaskFails_IsMadeAnew()
    {
        _workflows.Add("w", "  - {id: work, type: plan, planner: boss, executor: helper, message: build a house}");
        _host.Model.Script(FakeAnswer.Says("""["dig", "pour"]"""), FakeAnswer.Says("dug"), new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"no concrete"}}""" },
            FakeAnswer.Says("""Then: ["buy concrete"]"""), FakeAnswer.Says("bought"), FakeAnswer.Says("the house stands"));

        Assert.Equal("the house stands", (await RunAsync()).GetString());
        string replanned = _host.Model.Requests.ElementAt(3).LastContent;
        Assert.Contains("- dig: dug\n- pour: FAILED:", replanned, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handoff_ToAnotherAgent_EndsWithItsAnswer()
    {
        _workflows.Add("w", "  - {id: desk, type: handoff, start: helper, agents: [critic], message: my invoice is wrong}");
        Says("Not mine.\nHANDOFF: critic", "Corrected.");

        Assert.Equal("Corrected.", (await RunAsync()).GetString());
        Assert.Contains("helper: Not mine.", _host.Model.Requests.Last().LastContent, StringComparison.Ordinal);
        // What they told each other is in the run's log.
        string id = (await _host.Alpha.GetJsonAsync("/api/v1/runs?limit=1")).Body.GetProperty("data")[0].Text("id");
        JsonElement[] log = [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
        JsonElement[] asked = [.. log.Where(e => e.Text("type") == "child.started").Select(e => e.GetProperty("data"))];
        Assert.Equal(("helper", "critic", "helper"), (asked[0].Text("agent"), asked[1].Text("agent"), asked[1].Text("handedOverBy")));
        Assert.Equal(_host.Model.Requests.Select(r => r.LastContent), asked.Select(a => a.Text("message")));
        Assert.Equal(["Not mine.\nHANDOFF: critic", "Corrected."], log.Where(e => e.Text("type") == "child.completed").Select(e => e.GetProperty("data").Text("output")));
    }

    private void Says(params string[] answers) => _host.Model.Script([.. answers.Select(a => FakeAnswer.Says(a))]);

    private async Task<JsonElement> RunAsync()
    {
        (int status, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { workflow = "w", inputs = new { } });
        Assert.True(status == 200 && run.Text("status") == "completed", $"{status} {run}");
        return run.GetProperty("output");
    }
}
