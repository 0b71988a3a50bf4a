using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Runs of workflows, as a client of the API sees them.</summary>
public sealed class WorkflowRunTests : IAsyncLifetime
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
    public async Task Steps_OneAfterTheOther_GiveTheOutput()
    {
        _workflows.Add("w", """
              - {id: double, type: tool, tool: calculator, arguments: {expression: "{{ inputs.n }} * 2"}}
              - {id: ask, type: agent, agent: helper, message: "Say something about {{ steps.double.output }}"}
              - {id: skipped, type: transform, when: inputs.n > 100, output: never}
              - {id: all, type: transform, output: {number: "{{ inputs.n }}", said: "{{ steps.ask.output }}", skipped: "{{ steps.skipped.status }}"}}
            """);

        JsonElement run = await RunAsync("w", new { n = 21 });

        Assert.Equal("completed", run.Text("status"));
        Assert.Equal("""{"number":21,"said":"Hello there","skipped":"skipped"}""", run.GetProperty("output").GetRawText());
        Assert.Equal(("workflow", "w"), (run.Text("kind"), run.Text("workflow")));
        Assert.Contains("42", Assert.Single(_host.Model.Requests).LastContent, StringComparison.Ordinal);
        Assert.Equal(5, run.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        Assert.Equal(0.001m, run.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        (_, JsonElement steps, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs/{run.Text("id")}/steps");
        Assert.Equal(["/double:completed", "/ask:completed", "/skipped:skipped", "/all:completed"], steps.GetProperty("steps").EnumerateArray().Select(s => $"{s.Text("path")}:{s.Text("status")}"));
        // The agent's run is a step of this one, and no run of its own in lists.
        (_, JsonElement list, _) = await _host.Alpha.GetJsonAsync("/api/v1/runs");
        Assert.Equal(run.Text("id"), Assert.Single(list.GetProperty("data").EnumerateArray()).Text("id"));
        (_, JsonElement children, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run.Text("id")}");
        Assert.Equal(("helper", "step"), (Assert.Single(children.GetProperty("data").EnumerateArray()).Text("agent"), children.GetProperty("data")[0].Text("surface")));
    }

    [Fact]
    public async Task Containers_SwitchLoopMapAndParallel_GiveWhatTheySay()
    {
        _workflows.Add("w", """
              - id: choice
                type: switch
                cases:
                  - {when: inputs.n > 5, steps: [{id: big, type: transform, output: big}]}
                default: [{id: small, type: transform, output: small}]
              - id: count
                type: loop
                until: steps.next.output >= 3
                maxIterations: 10
                steps: [{id: next, type: tool, tool: calculator, arguments: {expression: "{{ iteration }} + 1"}}]
              - id: squares
                type: map
                over: [1, 2, 3, 4, 5]
                concurrency: 2
                steps: [{id: square, type: tool, tool: calculator, arguments: {expression: "{{ item }} * {{ item }}"}}]
              - id: votes
                type: parallel
                join: majority
                branches:
                  - {id: a, steps: [{id: va, type: transform, output: {x: 1}}]}
                  - {id: b, steps: [{id: vb, type: transform, output: {x: 2}}]}
                  - {id: c, steps: [{id: vc, type: transform, output: {x: 1}}]}
              - id: race
                type: parallel
                join: first
                branches:
                  - {id: slow, steps: [{id: sleeps, type: wait, seconds: 600}]}
                  - {id: fast, steps: [{id: quick, type: transform, output: quick}]}
              - {id: out, type: transform, output: ["{{ steps.choice.output }}", "{{ steps.count.output }}", "{{ steps.squares.output }}", "{{ steps.votes.output }}", "{{ steps.race.output }}"]}
            """);

        JsonElement run = await RunAsync("w", new { n = 7 });

        Assert.Equal("""["big",3,[1,4,9,16,25],{"x":1},"quick"]""", run.GetProperty("output").GetRawText());
    }

    [Fact]
    public async Task Failure_ForGood_UndoesWhatWasDone_TheLastFirst()
    {
        _workflows.Add("w", """
              - {id: first, type: transform, output: 1, compensate: {id: undo_first, type: tool, tool: calculator, arguments: {expression: "1"}}}
              - id: items
                type: map
                over: [10, 20]
                concurrency: 1
                steps: [{id: reserve, type: transform, output: "{{ item }}", compensate: {id: undo_item, type: agent, agent: helper, message: "undo {{ item }} of {{ steps.reserve.output }}"}}]
              - {id: broken, type: tool, tool: calculator, arguments: {expression: "1 / 0"}, retry: {attempts: 2, delaySeconds: 0.1}}
              - {id: never, type: transform, output: 2}
            """);

        JsonElement run = await RunAsync("w", new { });

        Assert.Equal(("failed", "tool_failed"), (run.Text("status"), run.Text("error", "code")));
        Assert.Equal(["undo 20 of 20", "undo 10 of 10"], _host.Model.Requests.Select(r => r.LastContent));
        JsonElement[] events = await EventsAsync(run.Text("id"));
        Assert.Single(events, e => e.Text("type") == "step.retrying");
        Assert.Single(events.Where(e => e.Text("type") == "tool_call.intended" && e.Text("data", "path") == "/broken").Select(e => e.Text("data", "idempotencyKey")).Distinct());
        Assert.Equal(["/items/1/reserve/undo_item", "/items/0/reserve/undo_item", "/first/undo_first"],
            events.SkipWhile(e => e.Text("type") != "run.compensating").Where(e => e.Text("type") == "step.completed").Select(e => e.Text("data", "path")));
        Assert.DoesNotContain(events, e => e.GetProperty("data").TryGetProperty("path", out JsonElement path) && path.GetString() == "/never");
    }

    [Fact]
    public async Task Compensation_ThatFails_IsToldAndTheOthersAreDone()
    {
        _workflows.Add("w", """
              - {id: one, type: transform, output: 1, compensate: {id: undo_one, type: transform, output: undone}}
              - {id: two, type: transform, output: 1, compensate: {id: undo_two, type: tool, tool: calculator, arguments: {expression: "1 / 0"}, retry: {attempts: 2, delaySeconds: 0.1}}}
              - {id: stop, type: end, status: failed, message: "no {{ inputs.what }}"}
            """);

        JsonElement run = await RunAsync("w", new { what = "stock" });

        Assert.Equal(("failed", "compensation_failed", "workflow_failed", "no stock"), (run.Text("status"), run.Text("reason"), run.Text("error", "code"), run.Text("error", "message")));
        JsonElement[] events = await EventsAsync(run.Text("id"));
        Assert.Equal("/two", Assert.Single(events, e => e.Text("type") == "compensation.failed").Text("data", "step"));
        Assert.Contains(events, e => e.Text("type") == "step.completed" && e.Text("data", "path") == "/one/undo_one");
        Assert.Contains("alerts.compensation_failed", await _host.OutboxSubjectsAsync());
    }

    [Fact]
    public async Task Error_ThatMayPass_IsSeenByLaterSteps()
    {
        _workflows.Add("w", """
              - {id: broken, type: tool, tool: calculator, arguments: {expression: "1 / 0"}, onError: continue}
              - {id: late, type: wait, event: never, timeoutSeconds: 0.3, onError: continue}
              - {id: out, type: transform, output: ["{{ steps.broken.status }}", "{{ steps.late.status }}"]}
            """);

        JsonElement run = await RunAsync("w", new { });

        Assert.Equal("""["failed","failed"]""", run.GetProperty("output").GetRawText());
    }

    [Fact]
    public async Task Subworkflow_ThatEnds_GivesItsOutput_AndOneInItself_IsStopped()
    {
        _workflows.Add("inner", """
              - {id: stop, type: end, output: "{{ inputs.x }}!"}
              - {id: never, type: transform, output: never}
            """, "inputs: {type: object, required: [x]}").Add("w", """
              - {id: sub, type: subworkflow, workflow: inner, inputs: {x: "{{ inputs.x }}"}}
            """).Add("round", """
              - {id: again, type: subworkflow, workflow: round}
            """);

        Assert.Equal("hey!", (await RunAsync("w", new { x = "hey" })).Text("output"));
        Assert.Equal("limit_reached", (await RunAsync("round", new { })).Text("error", "code"));
        (int status, JsonElement problem, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "inner", inputs = new { } });
        Assert.Equal((400, "validation_failed"), (status, problem.Text("code")));
    }

    [Fact]
    public async Task Limits_OfSteps_TimeAndMoney_StopTheRun()
    {
        _workflows.Add("steps", """
              - {id: l, type: loop, maxIterations: 100, while: "true", steps: [{id: s, type: transform, output: 1}]}
            """, "limits: {maxSteps: 10}").Add("time", """
              - {id: wait_long, type: wait, seconds: 600}
            """, "limits: {maxSeconds: 1}").Add("money", """
              - {id: l, type: loop, maxIterations: 100, while: "true", steps: [{id: s, type: agent, agent: helper, message: hi}]}
            """, "limits: {maxCostUsd: 0.0025}").Add("step-time", """
              - {id: slow, type: parallel, timeoutSeconds: 0.5, branches: [{id: a, steps: [{id: s, type: wait, seconds: 600}]}]}
            """);

        Assert.Equal("limit_reached", (await RunAsync("steps", new { })).Text("error", "code"));
        Assert.Equal("max_seconds", (await RunAsync("time", new { })).Text("error", "code"));
        JsonElement money = await RunAsync("money", new { });
        Assert.Equal("limit_reached", money.Text("error", "code"));
        Assert.Equal(0.003m, money.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        Assert.Equal("step_timeout", (await RunAsync("step-time", new { })).Text("error", "code"));
    }

    [Fact]
    public async Task Cancel_OfARunThatWorks_CancelsTheAgentAndUndoes()
    {
        var asked = new TaskCompletionSource();
        _workflows.Add("w", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: transform, output: undone}}
              - {id: ask, type: agent, agent: helper, message: hi}
            """);
        _host.Model.Default = async (_, token) =>
        {
            asked.TrySetResult();
            await Task.Delay(Timeout.Infinite, token);
            return null!;
        };
        (_, JsonElement accepted, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" });
        await asked.Task.WaitAsync(TestHost.Deadline);
        (int status, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{accepted.Text("id")}/cancel", new { });
        JsonElement run = await _host.Alpha.WaitForRunAsync(accepted.Text("id"));

        Assert.Equal((202, "cancelled", "requested"), (status, run.Text("status"), run.Text("reason")));
        Assert.True(await _host.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
        Assert.Contains(await EventsAsync(run.Text("id")), e => e.Text("type") == "step.completed" && e.Text("data", "path") == "/done/undo");
    }

    [Fact]
    public async Task Key_UsedTwice_IsOneRun()
    {
        _workflows.Add("w", "  - {id: a, type: transform, output: 1}");

        JsonElement[] runs = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ => (await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=10", new { workflow = "w" }, ("Idempotency-Key", "k1"))).Body));
        (int other, _, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w", inputs = new { x = 1 } }, ("Idempotency-Key", "k1"));

        Assert.Single(runs.Select(r => r.Text("id")).Distinct());
        Assert.Equal(409, other);
    }

    [Fact]
    public async Task Fault_OfThePlatform_UndoesAndFails()
    {
        _workflows.Add("w", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: transform, output: undone}}
              - {id: other, type: subworkflow, workflow: broken}
            """).Break("broken");

        JsonElement run = await RunAsync("w", new { });

        Assert.Equal(("failed", "internal_error"), (run.Text("status"), run.Text("error", "code")));
        Assert.Contains(await EventsAsync(run.Text("id")), e => e.Text("type") == "step.completed" && e.Text("data", "path") == "/done/undo");
    }

    private async Task<JsonElement> RunAsync(string workflow, object inputs)
    {
        (int status, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { workflow, inputs });
        Assert.True(status == 200, $"{status} {run}");
        return run;
    }

    private async Task<JsonElement[]> EventsAsync(string run) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{run}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
}
