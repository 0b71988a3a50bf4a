using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Runs that go on from an earlier one.</summary>
public sealed class WorkflowForkTests : IAsyncLifetime
{
    private readonly TestWorkflows _workflows = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows));
        await _host.Alpha.CreateAgentAsync();
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Retry_AfterAFailure_AsksOnlyWhatIsMissing()
    {
        _workflows.Add("w", """
              - {id: first, type: agent, agent: helper, message: one}
              - id: both
                type: map
                over: [1, 2]
                concurrency: 1
                steps: [{id: ask, type: agent, agent: helper, message: "item {{ item }}"}]
              - {id: out, type: transform, output: ["{{ steps.first.output }}", "{{ steps.both.output }}"]}
            """);
        bool broken = true;
        _host.Model.Default = (request, _) => Task.FromResult(broken && request.LastContent == "item 2" ? new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"no"}}""" } : FakeAnswer.Says($"answer to {request.LastContent}"));
        JsonElement failed = await RunAsync("w");
        broken = false;
        (int status, JsonElement accepted, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{failed.Text("id")}/retry", new { }, ("Idempotency-Key", "again"));
        (_, JsonElement same, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{failed.Text("id")}/retry", new { }, ("Idempotency-Key", "again"));
        JsonElement run = await _host.Alpha.WaitForRunAsync(accepted.Text("id"));

        Assert.Equal(("failed", 202, accepted.Text("id")), (failed.Text("status"), status, same.Text("id")));
        Assert.Equal("""["answer to one",["answer to item 1","answer to item 2"]]""", run.GetProperty("output").GetRawText());
        Assert.Equal(["one", "item 1", "item 2", "item 2"], _host.Model.Requests.Select(r => r.LastContent));
        // What the first run paid for is not paid for again.
        Assert.Equal(0.001m, run.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        (int completed, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{run.Text("id")}/retry", new { });
        (int foreign, _, _) = await _host.Beta.PostJsonAsync($"/api/v1/runs/{failed.Text("id")}/retry", new { });
        Assert.Equal((409, 404), (completed, foreign));
    }

    [Fact]
    public async Task Fork_WithAnotherOutput_GoesOnFromThere()
    {
        _workflows.Add("w", """
              - {id: price, type: transform, output: 10}
              - {id: ask, type: agent, agent: helper, message: "price {{ steps.price.output }} for {{ inputs.who }}"}
              - {id: out, type: transform, output: "{{ steps.price.output }}"}
            """);
        JsonElement run = await RunAsync("w", new { who = "a" });
        JsonElement[] events = [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{run.Text("id")}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
        long seq = events.Single(e => e.Text("type") == "step.completed" && e.Text("data", "path") == "/price").GetProperty("seq").GetInt64();
        string path = $"/api/v1/runs/{run.Text("id")}/fork";

        (_, JsonElement accepted, _) = await _host.Alpha.PostJsonAsync(path, new { afterSeq = seq, outputs = new Dictionary<string, object> { ["/price"] = 12 }, inputs = new { who = "b" } });
        JsonElement forked = await _host.Alpha.WaitForRunAsync(accepted.Text("id"));

        Assert.Equal(12, forked.GetProperty("output").GetInt32());
        Assert.Equal(["price 10 for a", "price 12 for b"], _host.Model.Requests.Select(r => r.LastContent));
        Assert.Equal(10, run.GetProperty("output").GetInt32());
        Assert.Equal(400, (await _host.Alpha.PostJsonAsync(path, new { outputs = new Dictionary<string, object> { ["/nothing"] = 1 } })).Status);
        Assert.Equal(400, (await _host.Alpha.PostJsonAsync(path, new { afterSeq = 0 })).Status);
    }

    [Fact]
    public async Task Retry_OfWhatWasUndone_IsRefused()
    {
        _workflows.Add("w", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: transform, output: undone}}
              - {id: broken, type: tool, tool: calculator, arguments: {expression: "1 / 0"}}
            """);
        JsonElement failed = await RunAsync("w");

        (int status, JsonElement problem, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{failed.Text("id")}/retry", new { });
        (int early, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{failed.Text("id")}/fork", new { afterSeq = 2 });

        Assert.Equal((409, 202), (status, early));
        Assert.Contains("'/done'", problem.Text("detail"), StringComparison.Ordinal);
    }

    private async Task<JsonElement> RunAsync(string workflow, object? inputs = null)
    {
        (int status, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { workflow, inputs = inputs ?? new { } });
        Assert.True(status == 200, $"{status} {run}");
        return run;
    }
}
