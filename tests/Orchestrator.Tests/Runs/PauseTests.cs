using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Completions;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;
using TestDatabase = MultiAgent.Testing.TestDatabase;
using TestPostgres = MultiAgent.Testing.TestPostgres;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>Runs that rest because they were asked to, and go on from their log.</summary>
public sealed class PauseTests : IAsyncLifetime
{
    private const string Ask = "  - id: ask\n    type: human\n    role: developer\n    title: May I?\n  - id: told\n    type: transform\n    output: \"{{ steps.ask.output.decision }}\"\n";
    private const string Two = "  - id: one\n    type: agent\n    agent: helper\n    message: First\n  - id: two\n    type: agent\n    agent: helper\n    message: Second\n";

    private TestHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await StartAsync();

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Agent_IsPausedAfterItsStep_AndGoesOnFromItsLog()
    {
        (string run, TaskCompletionSource gate) = await BeginAsync(_host);

        Assert.Equal(202, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "")).Status);
        gate.SetResult();
        await _host.Alpha.WaitForStatusAsync(run, "paused");
        Assert.Single(_host.Model.Requests);
        Assert.Equal([run], (await _host.Alpha.GetJsonAsync("/api/v1/runs?status=paused")).Body.GetProperty("data").EnumerateArray().Select(r => r.Text("id")));
        // Twice is once.
        Assert.Equal(202, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "")).Status);
        Assert.Equal(404, (await _host.Beta.PostJsonAsync($"/api/v1/runs/{run}/resume", "")).Status);
        Assert.Equal(202, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "")).Status);
        JsonElement ended = await _host.Alpha.WaitForRunAsync(run);

        Assert.Equal("completed", ended.Text("status"));
        string[] types = await TypesAsync(run);
        Assert.Equal(["run.paused", "run.resumed", "model.completed", "message.completed", "run.completed"], types[^5..]);
        Assert.Equal(["system", "user", "assistant", "tool"], _host.Model.Requests.Last().Roles);
        Assert.Equal("run_not_active", (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "")).Body.Text("code"));
        Assert.Equal("run_not_paused", (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "")).Body.Text("code"));
        Assert.Equal(404, (await _host.Beta.PostJsonAsync($"/api/v1/runs/{run}/pause", "")).Status);
    }

    [Theory]
    [InlineData("chat")]
    [InlineData("completion")]
    [InlineData("stream")]
    [InlineData("response")]
    public async Task Client_ThatWaitsForARunWhichIsPaused_IsToldSo(string surface)
    {
        const string Body = """{"model":"agent/helper","messages":[{"role":"user","content":"6*7?"}]}""";
        var gate = new TaskCompletionSource();
        _host.Model.Script(Calling(gate));
        Task<string> answer = surface switch
        {
            "chat" => PostAsync("/api/v1/chat", new { agent = "helper", message = "6*7?", stream = false }),
            "completion" => CompleteAsync(),
            "stream" => StreamAsync(),
            _ => PostAsync("/v1/responses", new { model = "agent/helper", input = "6*7?" }),
        };
        await _host.Model.WaitForRequestsAsync(1);
        string run = (await _host.Alpha.GetJsonAsync("/api/v1/runs")).Body.GetProperty("data")[0].Text("id");
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "");
        gate.SetResult();

        string told = await answer.WaitAsync(TestHost.Deadline);

        Assert.Contains(surface switch { "chat" => "202 paused", "response" => "200 in_progress", _ => $"Run {run} is paused" }, told, StringComparison.Ordinal);
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "");
        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(run)).Text("status"));

        async Task<string> PostAsync(string path, object body)
        {
            (int status, JsonElement answer, _) = await _host.Alpha.PostJsonAsync(path, body);
            return $"{status} {answer.Text("status")}";
        }
        async Task<string> CompleteAsync() => (await AgentCompletionsTests.CompleteAsync(_host, Body)).Body.ToString();
        async Task<string> StreamAsync() => string.Concat(await AgentCompletionsTests.StreamAsync(_host, Body));
    }

    [Fact]
    public async Task Pause_ThatIsTakenBackInTime_ChangesNothing()
    {
        (string run, TaskCompletionSource gate) = await BeginAsync(_host);

        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "");
        Assert.Equal(202, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "")).Status);
        gate.SetResult();

        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(run)).Text("status"));
        Assert.DoesNotContain("run.paused", await TypesAsync(run));
    }

    [Fact]
    public async Task PausedRun_OutlivesAStart_AndIsCancelled()
    {
        (string run, TaskCompletionSource gate) = await BeginAsync(_host);
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "");
        gate.SetResult();
        await _host.Alpha.WaitForStatusAsync(run, "paused");
        (string other, TaskCompletionSource second) = await BeginAsync(_host);
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{other}/pause", "");
        second.SetResult();
        await _host.Alpha.WaitForStatusAsync(other, "paused");

        Assert.Equal(202, (await _host.Alpha.PostJsonAsync($"/api/v1/runs/{other}/cancel", "")).Status);
        Assert.Equal("cancelled", (await _host.Alpha.WaitForRunAsync(other)).Text("status"));
        await _host.StopAsync();
        await using TestHost again = await StartAsync(_host.Folder);
        Assert.Equal("paused", (await again.Alpha.GetJsonAsync($"/api/v1/runs/{run}")).Body.Text("status"));
        await again.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "");

        Assert.Equal("completed", (await again.Alpha.WaitForRunAsync(run)).Text("status"));
    }

    [Fact]
    public async Task Workflow_IsPausedWithTheAgentOfItsStep_AndGoesOn()
    {
        var gate = new TaskCompletionSource();
        _host.Model.Script(Calling(gate));
        string run = (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "two" })).Body.Text("id");
        await _host.Model.WaitForRequestsAsync(1);

        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "");
        gate.SetResult();
        await _host.Alpha.WaitForStatusAsync(run, "paused");
        Assert.Single(_host.Model.Requests);
        Assert.Equal("paused", (await _host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run}")).Body.GetProperty("data")[0].Text("status"));
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "");

        Assert.Equal("completed", (await _host.Alpha.WaitForRunAsync(run)).Text("status"));
        Assert.Equal(3, _host.Model.Requests.Count);
        Assert.Contains("run.paused", await TypesAsync(run));
    }

    [Fact]
    public async Task WaitingWorkflow_ThatIsPaused_TakesItsAnswerWhenItGoesOn()
    {
        string run = (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "ask" })).Body.Text("id");
        await _host.Alpha.WaitForStatusAsync(run, "waiting");
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "");
        await _host.Alpha.WaitForStatusAsync(run, "paused");
        string approval = (await _host.Alpha.GetJsonAsync($"/api/v1/approvals?run={run}")).Body.GetProperty("data")[0].Text("id");

        await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval}", new { decision = "approve" });
        Assert.Equal("paused", (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{run}")).Body.Text("status"));
        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "");
        JsonElement ended = await _host.Alpha.WaitForRunAsync(run);

        Assert.Equal(("completed", "approve"), (ended.Text("status"), ended.Text("output")));
    }

    [Fact]
    public async Task Pause_ThroughAnotherProcess_ReachesTheOneThatWorks()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        await using TestDatabase database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        await using TestHost first = await StartAsync(settings: database.Settings), second = await TestHost.StartAsync(settings: database.Settings);
        (string run, TaskCompletionSource gate) = await BeginAsync(first);

        Assert.Equal(202, (await second.Alpha.PostJsonAsync($"/api/v1/runs/{run}/pause", "")).Status);
        var engine = first.Services.GetRequiredService<RunEngine>();
        await Waiting.UntilAsync(() => Task.FromResult(engine.Find("ten_alpha", run) is { PauseRequested: true }), "the holder hears of it");
        gate.SetResult();
        await second.Alpha.WaitForStatusAsync(run, "paused");
        await second.Alpha.PostJsonAsync($"/api/v1/runs/{run}/resume", "");

        Assert.Equal("completed", (await first.Alpha.WaitForRunAsync(run)).Text("status"));
    }

    private static async Task<TestHost> StartAsync(string? folder = null, Dictionary<string, string?>? settings = null)
    {
        TestHost host = await TestHost.StartAsync(folder, settings: settings, configure: services => services.AddSingleton<IWorkflowSource>(new TestWorkflows().Add("ask", Ask).Add("two", Two)));
        if (folder is null) await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        return host;
    }

    /// <summary>A run whose first call of the model waits, and then asks for a tool.</summary>
    private static async Task<(string Run, TaskCompletionSource Gate)> BeginAsync(TestHost host)
    {
        var gate = new TaskCompletionSource();
        host.Model.Script(Calling(gate));
        int before = host.Model.Requests.Count;
        string run = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { agent = "helper", message = "6*7?" })).Body.Text("id");
        await host.Model.WaitForRequestsAsync(before + 1);
        return (run, gate);
    }

    private static FakeAnswer Calling(TaskCompletionSource gate) => FakeAnswer.Calling("calculator", """{"expression":"6*7"}""") with { Gate = (_, cancelled) => gate.Task.WaitAsync(cancelled) };

    private async Task<string[]> TypesAsync(string run) =>
        [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{run}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray().Select(e => e.Text("type"))];
}
