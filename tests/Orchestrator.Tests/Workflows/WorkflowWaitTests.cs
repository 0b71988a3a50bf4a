using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Runs that wait for people, events and times.</summary>
public sealed class WorkflowWaitTests : IAsyncLifetime
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
    public async Task Human_Answers_AndTheRunGoesOn()
    {
        _workflows.Add("w", """
              - {id: think, type: agent, agent: helper, message: hi}
              - id: ask
                type: human
                title: "Refund {{ inputs.amount }}?"
                message: "For order {{ inputs.order }}"
                form: {type: object, required: [amount], properties: {amount: {type: number}}}
              - {id: out, type: transform, output: {what: "{{ steps.ask.output.decision }}", amount: "{{ steps.ask.output.answer.amount }}", by: "{{ steps.ask.output.by }}", why: "{{ steps.ask.output.comment }}"}}
            """);
        string id = await StartAsync("w", new { amount = 12.5, order = "o-1" });
        JsonElement waiting = await WaitingAsync(id);
        JsonElement approval = Assert.Single(await ApprovalsAsync());

        Assert.Equal(("waiting", 2), (waiting.Text("status"), waiting.GetProperty("steps").GetInt32()));
        Assert.Equal(5, waiting.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        await Waiting.UntilAsync(() => Task.FromResult(_host.Services.GetRequiredService<RunEngine>().Active.Count == 0), "nothing of the run is in memory");
        Assert.Equal(("Refund 12.5?", "For order o-1", "admin", "/ask", id), (approval.Text("title"), approval.Text("message"), approval.Text("role"), approval.Text("path"), approval.Text("runId")));
        string path = $"/api/v1/approvals/{approval.Text("id")}";
        Assert.Equal((400, "validation_failed"), await DecideAsync(path, new { decision = "edit", answer = new { amount = "ten" } }));
        Assert.Equal((400, "validation_failed"), await DecideAsync(path, new { decision = "maybe" }));
        Assert.Equal((200, ""), await DecideAsync(path, new { decision = "edit", answer = new { amount = 10 }, comment = "a gift" }));
        Assert.Equal((409, "approval_not_open"), await DecideAsync(path, new { decision = "approve" }));
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal("""{"what":"edit","amount":10,"by":"key_alpha","why":"a gift"}""", run.GetProperty("output").GetRawText());
        Assert.Empty(await ApprovalsAsync());
        Assert.Equal("consumed", Assert.Single(await ApprovalsAsync("?status=all")).Text("status"));
    }

    [Fact]
    public async Task Approval_OfAnotherTenantOrRole_IsNotAnswered()
    {
        _workflows.Add("w", "  - {id: ask, type: human, title: t, role: owner}");
        string id = await StartAsync("w", new { });
        await WaitingAsync(id);
        string path = $"/api/v1/approvals/{Assert.Single(await ApprovalsAsync()).Text("id")}";

        (int other, _, _) = await _host.Beta.PostJsonAsync(path, new { decision = "approve" });
        (int seen, _, _) = await _host.Beta.GetJsonAsync(path);
        (_, JsonElement list, _) = await _host.Beta.GetJsonAsync("/api/v1/approvals?status=all");
        using HttpClient reader = _host.Client("alpha-reader");
        (int weak, _, _) = await reader.PostJsonAsync(path, new { decision = "approve" });

        Assert.Equal((404, 404, 0, 403), (other, seen, list.GetProperty("data").GetArrayLength(), weak));
        Assert.Equal("open", (await _host.Alpha.GetJsonAsync(path)).Body.Text("status"));
    }

    [Fact]
    public async Task Approval_ThatExpires_FailsOrGoesOn()
    {
        _workflows.Add("w", """
              - {id: soft, type: human, title: t, expiresSeconds: 1, onExpire: continue}
              - {id: hard, type: human, title: t, expiresSeconds: 3, when: steps.soft.output.decision == "expired"}
            """);
        string id = await StartAsync("w", new { });
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal(("failed", "wait_expired"), (run.Text("status"), run.Text("error", "code")));
        Assert.All(await ApprovalsAsync("?status=all"), a => Assert.Equal("cancelled", a.Text("status")));
    }

    [Fact]
    public async Task Event_OfTheNameAndKey_IsTheOutput()
    {
        _workflows.Add("w", """
              - {id: paid, type: wait, event: payment.done, match: "{{ inputs.order }}"}
              - {id: out, type: transform, output: "{{ steps.paid.output.sum }}"}
            """);
        string one = await StartAsync("w", new { order = "o-1" }), two = await StartAsync("w", new { order = 2 });
        await WaitingAsync(one);
        await WaitingAsync(two);

        Assert.Empty(await RaiseAsync(_host.Beta, new { name = "payment.done", key = "o-1" }));
        Assert.Empty(await RaiseAsync(_host.Alpha, new { name = "payment.done" }));
        Assert.Equal([one], await RaiseAsync(_host.Alpha, new { name = "payment.done", key = "o-1", data = new { sum = 7 } }));
        Assert.Equal([two], await RaiseAsync(_host.Alpha, new { name = "payment.done", key = 2, data = new { sum = 8 } }));

        Assert.Equal((7, 8), ((await _host.Alpha.WaitForRunAsync(one)).GetProperty("output").GetInt32(), (await _host.Alpha.WaitForRunAsync(two)).GetProperty("output").GetInt32()));
    }

    [Fact]
    public async Task Webhook_CalledByWhoHasItsAddress_WorksOnce()
    {
        _workflows.Add("w", """
              - {id: paid, type: wait, webhook: true}
              - {id: out, type: transform, output: "{{ steps.paid.output.sum }}"}
            """);
        string id = await StartAsync("w", new { });
        await WaitingAsync(id);
        string hook = Assert.Single(await StepsAsync(id)).Text("hook");
        using var anybody = new HttpClient { BaseAddress = new Uri(_host.Url) };

        Assert.Equal(404, (await anybody.PostJsonAsync(hook[..^1] + (hook[^1] == 'A' ? 'E' : 'A'), new { sum = 1 })).Status);
        Assert.Equal(404, (await anybody.PostJsonAsync("/api/v1/hooks/x", new { sum = 1 })).Status);
        Assert.Equal(400, (await anybody.PostJsonAsync(hook, "{")).Status);
        Assert.Equal(413, (await anybody.PostJsonAsync(hook, new { sum = new string('x', 300_000) })).Status);
        Assert.Equal(202, (await anybody.PostJsonAsync(hook, new { sum = 7 })).Status);
        Assert.Equal(404, (await anybody.PostJsonAsync(hook, new { sum = 8 })).Status);
        Assert.Equal(7, (await _host.Alpha.WaitForRunAsync(id)).GetProperty("output").GetInt32());
    }

    [Fact]
    public async Task Time_ThatIsFarEnough_PutsTheRunToRest_AndWakesIt()
    {
        _workflows.Add("w", """
              - {id: nap, type: wait, seconds: 3}
              - {id: out, type: transform, output: awake}
            """);
        string id = await StartAsync("w", new { });
        JsonElement waiting = await WaitingAsync(id);
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal(("waiting", "awake"), (waiting.Text("status"), run.Text("output")));
        Assert.True(run.GetProperty("endedAt").GetDateTimeOffset() - run.GetProperty("startedAt").GetDateTimeOffset() >= TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task Branches_ThatWaitAndWork_DoNotHoldEachOtherUp()
    {
        var gate = new TaskCompletionSource();
        _workflows.Add("w", """
              - id: both
                type: parallel
                branches:
                  - {id: people, steps: [{id: ask, type: human, title: t}, {id: after, type: transform, output: asked}]}
                  - {id: work, steps: [{id: think, type: agent, agent: helper, message: hi}]}
            """);
        _host.Model.Default = async (_, token) =>
        {
            await gate.Task.WaitAsync(token);
            return FakeAnswer.Says("done");
        };
        string id = await StartAsync("w", new { });
        await Waiting.UntilAsync(async () => (await ApprovalsAsync()).Length == 1, "the question");
        // The agent is at work: the run is not at rest, and takes the answer all the same.
        Assert.Equal((200, ""), await DecideAsync($"/api/v1/approvals/{(await ApprovalsAsync())[0].Text("id")}", new { decision = "approve" }));
        await Waiting.UntilAsync(async () => (await StepsAsync(id)).Any(s => s.Text("path") == "/both/people/after" && s.Text("status") == "completed"), "the step after the answer");
        Assert.Equal("running", (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}")).Body.Text("status"));
        gate.SetResult();

        Assert.Equal("""{"people":"asked","work":"done"}""", (await _host.Alpha.WaitForRunAsync(id)).GetProperty("output").GetRawText());
    }

    [Fact]
    public async Task Cancel_OfARunAtRest_UndoesAndClosesTheQuestion()
    {
        _workflows.Add("w", """
              - {id: done, type: transform, output: 1, compensate: {id: undo, type: transform, output: undone}}
              - {id: ask, type: human, title: t}
            """);
        string id = await StartAsync("w", new { });
        await WaitingAsync(id);
        (int status, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { });
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal((202, "cancelled"), (status, run.Text("status")));
        Assert.Contains(await StepsAsync(id), s => s.Text("path") == "/done/undo" && s.Text("status") == "completed");
        Assert.Equal("cancelled", Assert.Single(await ApprovalsAsync("?status=all")).Text("status"));
    }

    [Fact]
    public async Task Reader_OfTheLog_FollowsARunThroughItsRest()
    {
        _workflows.Add("w", """
              - {id: ask, type: human, title: t}
              - {id: out, type: transform, output: 1}
            """);
        string id = await StartAsync("w", new { });
        await using SseReader reader = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Get, $"/api/v1/runs/{id}/events", null, ("Accept", "text/event-stream"));
        await reader.UntilAsync("run.waiting");
        await DecideAsync($"/api/v1/approvals/{Assert.Single(await ApprovalsAsync()).Text("id")}", new { decision = "approve" });

        await reader.UntilAsync("wait.resolved");
        await reader.UntilAsync("run.completed");
    }

    private async Task<string> StartAsync(string workflow, object inputs)
    {
        (int status, JsonElement run, HttpResponseMessage response) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow, inputs });
        Assert.True(status == 202, $"{status} {run}");
        Assert.Equal($"/api/v1/runs/{run.Text("id")}", response.Headers.Location?.ToString());
        return run.Text("id");
    }

    private async Task<JsonElement> WaitingAsync(string id)
    {
        JsonElement run = default;
        await Waiting.UntilAsync(async () => (run = (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}")).Body).Text("status") == "waiting", "the run waits");
        return run;
    }

    private async Task<(int, string)> DecideAsync(string path, object body)
    {
        (int status, JsonElement answer, _) = await _host.Alpha.PostJsonAsync(path, body);
        return (status, answer.TryGetProperty("code", out JsonElement code) ? code.GetString()! : "");
    }

    private static async Task<string[]> RaiseAsync(HttpClient client, object body)
    {
        (int status, JsonElement answer, _) = await client.PostJsonAsync("/api/v1/events", body);
        Assert.True(status == 200, $"{status} {answer}");
        return [.. answer.GetProperty("runs").EnumerateArray().Select(r => r.GetString()!)];
    }

    private async Task<JsonElement[]> ApprovalsAsync(string query = "") => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/approvals{query}")).Body.GetProperty("data").EnumerateArray()];

    private async Task<JsonElement[]> StepsAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/steps")).Body.GetProperty("steps").EnumerateArray()];
}
