using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Completions;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>Calls of tools that wait for a person's consent.</summary>
public sealed class ToolApprovalTests : IAsyncLifetime
{
    private static readonly object Always = new { mode = "always" };

    private readonly TestWorkflows _workflows = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows));

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Theory]
    [InlineData("approve", null, "42", false)]
    [InlineData("edit", """{"expression":"2"}""", "A person changed the arguments to {\"expression\":\"2\"}\n2", false)]
    [InlineData("answer", "\"about forty\"", "about forty", false)]
    [InlineData("reject", null, "A person refused this call: too dear. It was not made; do not try it again.", true)]
    public async Task Call_WaitsForADecision_AndTheRunGoesOn(string decision, string? answer, string result, bool isError)
    {
        await AgentAsync(Always);
        (int status, JsonElement waiting) = await AskAsync();
        string id = waiting.Text("runId");
        JsonElement approval = Assert.Single(await ApprovalsAsync());

        Assert.Equal((202, "waiting", false), (status, waiting.Text("status"), waiting.TryGetProperty("message", out _)));
        Assert.Equal(("calculator", """{"expression":"6*7"}""", "admin"), (approval.Text("call", "tool"), approval.GetProperty("call").GetProperty("arguments").GetRawText(), approval.Text("role")));
        Assert.DoesNotContain("tool_call.intended", await EventsAsync(id));
        await Waiting.UntilAsync(() => Task.FromResult(_host.Services.GetRequiredService<RunEngine>().Active.Count == 0), "nothing of the run is in memory");
        Assert.Equal(200, await DecideAsync(approval, new { decision, answer = answer is null ? (JsonElement?)null : JsonDocument.Parse(answer).RootElement, comment = "too dear" }));
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal("completed", run.Text("status"));
        Assert.Equal(result, _host.Model.Requests.Last().LastContent);
        JsonElement completed = (await LogAsync(id)).Single(e => e.Text("type") == "tool_call.completed").GetProperty("data");
        Assert.Equal((result, isError), (completed.Text("result"), completed.GetProperty("isError").GetBoolean()));
        Assert.Equal(decision is "approve" or "edit" ? 1 : 0, (await EventsAsync(id)).Count(t => t == "tool_call.intended"));
        Assert.Equal("consumed", Assert.Single(await ApprovalsAsync("?status=all")).Text("status"));
    }

    [Fact]
    public async Task Condition_OnTheArguments_AsksForSomeCallsOnly()
    {
        await AgentAsync(new { when = "args.expression contains '*'", role = "owner" });
        _host.Model.Script(new FakeAnswer { Calls = [("a", "calculator", """{"expression":"1+2"}"""), ("b", "calculator", """{"expression":"3*4"}"""), ("c", "calculator", """{"expression":"5*6"}"""), ("d", "calculator", "{}")] });
        (_, JsonElement waiting, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "careful", message = "go" });
        string id = waiting.Text("runId");
        JsonElement[] approvals = [.. (await ApprovalsAsync()).OrderByDescending(a => a.Text("call", "callId"))];

        // What needs nobody is made at once; wrong arguments are nothing to be agreed to.
        Assert.Equal(["a", "d"], (await LogAsync(id)).Where(e => e.Text("type") == "tool_call.completed").Select(e => e.GetProperty("data").Text("id")));
        Assert.Equal(["c", "b"], approvals.Select(a => a.Text("call", "callId")));
        Assert.Equal(200, await DecideAsync(approvals[0], new { decision = "approve" }));
        await Waiting.UntilAsync(async () => (await LogAsync(id)).Count(e => e.Text("type") == "run.waiting") == 2, "the run rests again, for the other one");
        Assert.Equal(200, await DecideAsync(approvals[1], new { decision = "reject" }));
        await _host.Alpha.WaitForRunAsync(id);

        SeenRequest last = _host.Model.Requests.Last();
        Assert.Equal(["user", "assistant", "tool", "tool", "tool", "tool"], last.Roles[1..]);
        Dictionary<string, string> results = last.Messages.Where(m => m.Text("role") == "tool").ToDictionary(m => m.Text("tool_call_id"), m => m.Text("content"));
        Assert.Equal(("3", "30"), (results["a"], results["c"]));
        Assert.StartsWith("A person refused this call.", results["b"]);
    }

    [Fact]
    public async Task Decision_IsBoundToTheArguments_AndToTheSchema_AndToTheRole()
    {
        await AgentAsync(new { mode = "always", role = "owner" });
        await AskAsync();
        JsonElement approval = Assert.Single(await ApprovalsAsync());
        string path = $"/api/v1/approvals/{approval.Text("id")}";
        using HttpClient reader = _host.Client("alpha-reader");

        (int stale, JsonElement problem, _) = await _host.Alpha.PostJsonAsync(path, new { decision = "approve", argumentsHash = "0123" });
        (int shape, _, _) = await _host.Alpha.PostJsonAsync(path, new { decision = "edit", answer = new { formula = "1" } });
        (int weak, _, _) = await reader.PostJsonAsync(path, new { decision = "approve" });
        (int foreign, _, _) = await _host.Beta.PostJsonAsync(path, new { decision = "approve" });

        Assert.Equal((409, "approval_arguments_changed", 400, 403, 404), (stale, problem.Text("code"), shape, weak, foreign));
        Assert.Equal(200, await DecideAsync(approval, new { decision = "approve", argumentsHash = approval.Text("call", "argumentsHash") }));
    }

    [Fact]
    public async Task Call_NobodyDecidesOn_IsGivenUp()
    {
        await AgentAsync(new { mode = "always", expiresSeconds = 1 });
        (_, JsonElement waiting) = await AskAsync();

        await _host.Alpha.WaitForRunAsync(waiting.Text("runId"));

        Assert.Equal("Nobody agreed to this call in time. It was not made.", _host.Model.Requests.Last().LastContent);
        Assert.Empty(await ApprovalsAsync());
    }

    [Fact]
    public async Task Run_ThatWaits_IsActiveInItsConversation_AndIsCancelled()
    {
        await AgentAsync(Always);
        (_, JsonElement waiting) = await AskAsync();
        string id = waiting.Text("runId"), conversation = waiting.Text("conversationId");

        (int busy, JsonElement problem, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "careful", message = "more", conversationId = conversation });
        (int cancelled, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { });
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal((409, "run_active", 202, "cancelled"), (busy, problem.Text("code"), cancelled, run.Text("status")));
        Assert.Equal("cancelled", Assert.Single(await ApprovalsAsync("?status=all")).Text("status"));
        Assert.DoesNotContain("tool_call.intended", await EventsAsync(id));
        (int next, _, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "careful", message = "more", conversationId = conversation });
        Assert.Equal(200, next);
    }

    [Fact]
    public async Task Completion_TellsThatItWaits_AndStreamsItToo()
    {
        await AgentAsync(Always);
        _host.Model.Script(Call());
        (int status, JsonElement body, _) = await AgentCompletionsTests.CompleteAsync(_host, """{"messages":[{"role":"user","content":"Hi"}]}""", agent: "careful");
        _host.Model.Script(Call());
        string[] streamed = await AgentCompletionsTests.StreamAsync(_host, """{"messages":[{"role":"user","content":"Hi"}],"stream":true}""", agent: "careful");

        Assert.Equal((200, "stop"), (status, body.GetProperty("choices")[0].Text("finish_reason")));
        Assert.Contains("needs the approval of a person", body.GetProperty("choices")[0].Text("message", "content"), StringComparison.Ordinal);
        Assert.Contains(streamed, s => s.Contains("needs the approval of a person", StringComparison.Ordinal));
        Assert.Equal("[DONE]", streamed[^1]);
    }

    [Fact]
    public async Task Workflow_RestsWithTheAgentItAsks_AndGoesOnWithIt()
    {
        await AgentAsync(Always);
        _workflows.Add("w", """
              - {id: think, type: agent, agent: careful, message: hi}
              - {id: out, type: transform, output: "{{ steps.think.output }}"}
            """);
        _host.Model.Script(Call());
        (_, JsonElement started, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w", inputs = new { } });
        string id = started.Text("id");
        await _host.Alpha.WaitForStatusAsync(id, "waiting");
        await Waiting.UntilAsync(() => Task.FromResult(_host.Services.GetRequiredService<RunEngine>().Active.Count == 0), "nothing of the two runs is in memory");
        // Found from the run that somebody knows of, though another one asks.
        JsonElement approval = Assert.Single(await ApprovalsAsync($"?run={id}"));
        Assert.NotEqual(id, approval.Text("runId"));

        Assert.Equal(200, await DecideAsync(approval, new { decision = "approve" }));
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal("\"Hello there\"", run.GetProperty("output").GetRawText());
        Assert.Equal(1, (await EventsAsync(approval.Text("runId"))).Count(t => t == "tool_call.intended"));
    }

    [Fact]
    public async Task Workflow_CancelledWhileItsAgentWaits_CancelsBoth()
    {
        await AgentAsync(Always);
        _workflows.Add("w", "  - {id: think, type: agent, agent: careful, message: hi}");
        _host.Model.Script(Call());
        (_, JsonElement started, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w", inputs = new { } });
        string id = started.Text("id");
        await _host.Alpha.WaitForStatusAsync(id, "waiting");

        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { });
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);
        JsonElement child = Assert.Single((await _host.Alpha.GetJsonAsync($"/api/v1/runs?parent={id}")).Body.GetProperty("data").EnumerateArray());
        child = await _host.Alpha.WaitForRunAsync(child.Text("id"));

        Assert.Equal(("cancelled", "cancelled"), (run.Text("status"), child.Text("status")));
        Assert.Empty(await ApprovalsAsync());
    }

    [Theory]
    [InlineData("""{"mode":"sometimes"}""", "tools[0].approval.mode")]
    [InlineData("""{"mode":"when"}""", "tools[0].approval.when")]
    [InlineData("""{"mode":"always","when":"args.a"}""", "tools[0].approval.when")]
    [InlineData("""{"when":"steps.a.output > 1"}""", "tools[0].approval.when")]
    [InlineData("""{"when":"args.a >"}""", "tools[0].approval.when")]
    [InlineData("""{"role":"king"}""", "tools[0].approval.role")]
    [InlineData("""{"expiresSeconds":0}""", "tools[0].approval.expiresSeconds")]
    [InlineData("""{"expiresSeconds":60,"escalate":{"afterSeconds":90,"role":"owner"}}""", "tools[0].approval.escalate.afterSeconds")]
    public async Task Agent_WithARuleThatMakesNoSense_IsRefused(string approval, string member)
    {
        (int status, JsonElement problem, _) = await _host.Alpha.PostJsonAsync("/api/v1/agents",
            new { slug = "odd", name = "Odd", tools = new[] { new { name = "calculator", approval = JsonDocument.Parse(approval).RootElement } } });

        Assert.Equal(400, status);
        Assert.Equal([member], problem.GetProperty("errors").EnumerateObject().Select(e => e.Name));
    }

    private static FakeAnswer Call() => FakeAnswer.Calling("calculator", """{"expression":"6*7"}""");

    private Task AgentAsync(object approval) => _host.Alpha.CreateAgentAsync("careful", more: new { tools = new[] { new { name = "calculator", approval } } });

    private async Task<(int Status, JsonElement Body)> AskAsync()
    {
        _host.Model.Script(Call());
        (int status, JsonElement body, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "careful", message = "What is 6 times 7?" });
        return (status, body);
    }

    private async Task<int> DecideAsync(JsonElement approval, object decision) => (await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval.Text("id")}", decision)).Status;

    private async Task<JsonElement[]> ApprovalsAsync(string query = "") => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/approvals{query}")).Body.GetProperty("data").EnumerateArray()];

    private async Task<JsonElement[]> LogAsync(string runId) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];

    private async Task<string[]> EventsAsync(string runId) => [.. (await LogAsync(runId)).Select(e => e.Text("type"))];
}
