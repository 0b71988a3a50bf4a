using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Tools;

/// <summary>Runs that agents start by their tools, and that rest: the run that asked rests with them.</summary>
public sealed class RestingSubRunTests : IAsyncLifetime
{
    private readonly TestWorkflows _workflows = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows));
        await AgentsAsync(_host.Alpha);
        _host.Model.Default = (request, _) => Task.FromResult(Answer(request));
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    /// <summary>One that needs consent for its sums, and one above the other who ask it.</summary>
    internal static async Task AgentsAsync(HttpClient client)
    {
        await client.CreateAgentAsync("careful", new { tools = new[] { new { name = "calculator", approval = new { mode = "always" } } } });
        await client.CreateAgentAsync("boss", new { tools = new[] { new { name = "agent/careful" } } });
        await client.CreateAgentAsync("chief", new { tools = new[] { new { name = "agent/boss" } } });
    }

    /// <summary>What each says follows from what it is told, so that it is the same after a crash.</summary>
    internal static FakeAnswer Answer(SeenRequest request) => request.Roles[^1] == "tool" ? FakeAnswer.Says($"It is {request.LastContent}") : request.LastContent switch
    {
        "Sum" => FakeAnswer.Calling("calculator", """{"expression":"6*7"}"""),
        "Go" => FakeAnswer.Calling("agent__careful", """{"message":"Sum"}"""),
        "Lead" => FakeAnswer.Calling("agent__boss", """{"message":"Go"}"""),
        "Both" => new FakeAnswer { Calls = [("a", "agent__careful", """{"message":"Sum"}"""), ("b", "agent__careful", """{"message":"Sum"}"""), ("c", "agent__careful", """{"message":"Hi"}""")] },
        _ => FakeAnswer.Says("Hello"),
    };

    [Fact]
    public async Task Parent_OfARunThatWaitsForAPerson_RestsToo_AndShowsWhatFor()
    {
        string id = await StartAsync("boss", "Go");
        JsonElement parent = await RestAsync(id);
        JsonElement wait = Assert.Single(parent.GetProperty("waits").EnumerateArray());
        JsonElement child = (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{wait.Text("runId")}")).Body;
        JsonElement approval = Assert.Single(await ApprovalsAsync(id));

        Assert.Equal(("child", "agent/careful", $"{id}:1:0"), (wait.Text("kind"), wait.Text("title"), wait.Text("path")));
        Assert.Equal((id, "waiting", "human", "admin"), (child.Text("parentRunId"), child.Text("status"), child.GetProperty("waits")[0].Text("kind"), child.GetProperty("waits")[0].Text("role")));
        Assert.Equal(child.Text("id"), approval.Text("runId"));
        Assert.Equal(404, (await _host.Beta.GetJsonAsync($"/api/v1/runs/{id}")).Status);

        await ApproveAsync(approval);
        JsonElement end = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal("completed", end.Text("status"));
        Assert.False(end.TryGetProperty("waits", out _));
        Assert.Equal("It is 42", _host.Model.Requests.Last().LastContent);
        JsonElement[] log = await LogAsync(id);
        Assert.Equal(["tool_call.intended", "wait.requested", "run.waiting", "run.resumed", "tool_call.completed"], log.Select(e => e.Text("type")).Where(t => t.StartsWith("tool_call", StringComparison.Ordinal) || t is "wait.requested" or "run.waiting" or "run.resumed"));
        Assert.Equal(child.Text("id"), log.Single(e => e.Text("type") == "tool_call.completed").GetProperty("data").Text("runId"));
        Assert.Equal(20, end.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        Assert.Single(await ChildrenAsync(id));
        Assert.Empty(await OpenWaitsAsync());
    }

    [Fact]
    public async Task Runs_ThreeDeep_RestAndGoOnTogether()
    {
        string id = await StartAsync("chief", "Lead");
        await RestAsync(id);
        JsonElement approval = Assert.Single(await ApprovalsAsync(id));
        await ApproveAsync(approval);

        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(id)).Text("status"));
        Assert.Equal("It is It is 42", _host.Model.Requests.Last().LastContent);
        Assert.Empty(await OpenWaitsAsync());
    }

    [Fact]
    public async Task Calls_SideBySide_RestForThoseThatRest_EachResultOnce()
    {
        string id = await StartAsync("boss", "Both");
        await RestAsync(id);
        JsonElement[] approvals = await ApprovalsAsync(id);
        Assert.Equal(2, approvals.Length);
        Assert.Equal(["c"], Completed(await LogAsync(id)));

        await ApproveAsync(approvals[0]);
        await Waiting.UntilAsync(async () => Completed(await LogAsync(id)).Length == 2, "the first result");
        await RestAsync(id);
        await ApproveAsync(approvals[1]);
        await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal(["a", "b", "c"], Completed(await LogAsync(id)).Order());
        SeenRequest last = _host.Model.Requests.Last();
        Assert.Equal(["Hello", "It is 42", "It is 42"], last.Messages.Where(m => m.Text("role") == "tool").Select(m => m.Text("content")).Order(StringComparer.Ordinal));
        Assert.Equal(3, (await ChildrenAsync(id)).Length);
    }

    [Fact]
    public async Task Call_WhoseTimeIsUpWhileItRests_IsCancelled_AndTheModelTold()
    {
        await _host.Alpha.CreateAgentAsync("hasty", new { tools = new[] { new { name = "agent/careful", timeoutSeconds = 1.5 } } });
        string id = await StartAsync("hasty", "Go");
        JsonElement wait = Assert.Single((await RestAsync(id)).GetProperty("waits").EnumerateArray());
        Assert.True(wait.TryGetProperty("expiresAt", out _));

        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(id)).Text("status"));
        Assert.Equal("The run of agent 'careful' took longer than 1.5 s and was cancelled.", _host.Model.Requests.Last().LastContent);
        Assert.Equal("tool_timeout", (await LogAsync(id)).Single(e => e.Text("type") == "tool_call.completed").GetProperty("data").Text("code"));
        Assert.Equal("cancelled", (await _host.Alpha.WaitForRunAsync(wait.Text("runId"))).Text("status"));
        Assert.Empty(await OpenWaitsAsync());
    }

    [Fact]
    public async Task Cancel_OfTheParent_CancelsTheRunsThatRest()
    {
        string id = await StartAsync("chief", "Lead");
        await RestAsync(id);
        string boss = Assert.Single(await ChildrenAsync(id)).Text("id"), careful = Assert.Single(await ChildrenAsync(boss)).Text("id");

        Assert.Equal(202, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { })).Status);

        foreach (string run in (string[])[id, boss, careful]) Assert.Equal("cancelled", (await _host.Alpha.WaitForRunAsync(run)).Text("status"));
        Assert.Empty(await OpenWaitsAsync());
        Assert.Equal(3, _host.Model.Requests.Count);
    }

    [Fact]
    public async Task Cancel_WhileOneCallRestsAndAnotherWorks_CancelsBoth()
    {
        await _host.Alpha.CreateAgentAsync("slow");
        await _host.Alpha.CreateAgentAsync("two", new { tools = new[] { new { name = "agent/careful" }, new { name = "agent/slow" } } });
        _host.Model.Default = async (request, token) =>
        {
            if (request.LastContent == "Wait") await Task.Delay(Timeout.Infinite, token);
            return request.LastContent == "Two" ? new FakeAnswer { Calls = [("a", "agent__careful", """{"message":"Sum"}"""), ("b", "agent__slow", """{"message":"Wait"}""")] } : Answer(request);
        };
        string id = await StartAsync("two", "Two");
        await Waiting.UntilAsync(async () => (await ChildrenAsync(id)).Count(c => c.Text("status") == "waiting") == 1, "one rests");
        await _host.Model.WaitForRequestsAsync(3);

        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { });

        Assert.Equal("cancelled", (await _host.Alpha.WaitForRunAsync(id)).Text("status"));
        foreach (JsonElement child in await ChildrenAsync(id)) Assert.Equal("cancelled", (await _host.Alpha.WaitForRunAsync(child.Text("id"))).Text("status"));
        Assert.Empty(await OpenWaitsAsync());
    }

    [Fact]
    public async Task Pause_OfTheParent_RestsBoth_AndBothGoOn()
    {
        string id = await StartAsync("boss", "Go");
        await RestAsync(id);
        JsonElement approval = Assert.Single(await ApprovalsAsync(id));
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/pause", new { });
        await _host.Alpha.WaitForStatusAsync(id, "paused");
        await _host.Alpha.WaitForStatusAsync(approval.Text("runId"), "paused");
        await ApproveAsync(approval);
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/resume", new { });

        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(id)).Text("status"));
        Assert.Equal(["call_1"], Completed(await LogAsync(id)));
    }

    [Fact]
    public async Task WorkflowStep_WhoseAgentAsksAnother_RestsWithBoth()
    {
        _workflows.Add("w", "  - {id: ask, type: agent, agent: boss, message: Go}");
        string id = (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w", inputs = new { } })).Body.Text("id");
        JsonElement resting = await RestAsync(id);
        Assert.Equal("child", Assert.Single(resting.GetProperty("waits").EnumerateArray()).Text("kind"));

        await ApproveAsync(Assert.Single(await ApprovalsAsync(id)));

        Assert.Equal("\"It is It is 42\"", (await _host.Alpha.WaitForRunAsync(id)).GetProperty("output").GetRawText());
        Assert.Single(await ChildrenAsync(id));
        Assert.Empty(await OpenWaitsAsync());
    }

    [Fact]
    public async Task Workflow_AsATool_RestsItsAgentUntilTheEventComes()
    {
        _workflows.Add("pay", "  - {id: paid, type: wait, event: paid}", "inputs: {type: object}");
        await _host.Alpha.CreateAgentAsync("cashier", new { tools = new[] { new { name = "workflow/pay" } } });
        _host.Model.Script(FakeAnswer.Calling("workflow__pay", "{}"));
        string id = await StartAsync("cashier", "Now");
        await RestAsync(id);

        await _host.Alpha.PostJsonAsync("/api/v1/events", new { name = "paid", data = new { euros = 5 } });

        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(id)).Text("status"));
        Assert.Equal("""{"euros":5}""", _host.Model.Requests.Last().LastContent);
    }

    private static string[] Completed(JsonElement[] log) => [.. log.Where(e => e.Text("type") == "tool_call.completed").Select(e => e.GetProperty("data").Text("id"))];

    private async Task<string> StartAsync(string agent, string message) => (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { agent, message })).Body.Text("id");

    private async Task<JsonElement> RestAsync(string id)
    {
        await _host.Alpha.WaitForStatusAsync(id, "waiting");
        await Waiting.UntilAsync(() => Task.FromResult(_host.Services.GetRequiredService<RunEngine>().Active.Count == 0), "nothing of the runs is in memory");
        return (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}")).Body;
    }

    private async Task ApproveAsync(JsonElement approval) => Assert.Equal(200, (await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval.Text("id")}", new { decision = "approve" })).Status);

    private async Task<JsonElement[]> ApprovalsAsync(string run) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/approvals?run={run}")).Body.GetProperty("data").EnumerateArray()];

    private async Task<JsonElement[]> ChildrenAsync(string run) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run}")).Body.GetProperty("data").EnumerateArray()];

    private Task<IReadOnlyList<Workflows.Examples.OpenWait>> OpenWaitsAsync() => Workflows.Examples.ExampleWorld.OpenWaitsAsync(_host);

    private async Task<JsonElement[]> LogAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
}
