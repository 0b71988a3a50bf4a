using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>The graph of a run with the states of its nodes.</summary>
public sealed class RunGraphTests : IAsyncLifetime
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
    public async Task Graph_OfARunThatWaits_ShowsWhatEachStepDoes()
    {
        _workflows.Add("w", """
              - {id: think, type: agent, agent: helper, message: hi}
              - {id: never, type: transform, when: "false", output: 1}
              - id: both
                type: parallel
                branches:
                  - {id: people, steps: [{id: ask, type: human, title: "Really?", expiresSeconds: 3600}, {id: after, type: transform, output: 1}]}
                  - {id: time, steps: [{id: nap, type: wait, seconds: 3600}]}
              - {id: last, type: transform, output: 1}
            """);
        string id = await StartAsync("w");
        await _host.Alpha.WaitForStatusAsync(id, "waiting");

        JsonElement graph = await GraphAsync(id);

        Assert.Equal((id, "workflow", "w", 1, "waiting"), (graph.Text("runId"), graph.Text("kind"), graph.Text("workflow"), graph.GetProperty("version").GetInt32(), graph.Text("status")));
        Assert.Equal("$start=completed think=completed never=skipped both=running ask=waiting after=pending nap=waiting last=pending $end=pending", States(graph));
        JsonElement think = Node(graph, "think"), ask = Node(graph, "ask"), nap = Node(graph, "nap");
        Assert.Equal((1, 0.001m, 1), (think.GetProperty("attempts").GetInt32(), think.GetProperty("usage").GetProperty("costUsd").GetDecimal(), think.GetProperty("childRuns").GetInt32()));
        Assert.Equal(id, (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{think.Text("childRunId")}")).Body.Text("parentRunId"));
        Assert.True(think.GetProperty("endedAt").GetDateTimeOffset() >= think.GetProperty("startedAt").GetDateTimeOffset());
        Assert.Equal(("human", "Really?", "timer"), (ask.Text("wait", "kind"), ask.Text("wait", "name"), nap.Text("wait", "kind")));
        Assert.Equal(200, (await _host.Alpha.GetJsonAsync($"/api/v1/approvals/{ask.Text("wait", "id")}")).Status);
        Assert.InRange(nap.GetProperty("wait").GetProperty("deadline").GetDateTimeOffset() - nap.GetProperty("startedAt").GetDateTimeOffset(), TimeSpan.FromSeconds(3599), TimeSpan.FromSeconds(3601));
        string text = await MermaidAsync(id);
        Assert.Contains("""s_ask[/"ask (human: Really?)<br/>waiting"/]""", text, StringComparison.Ordinal);
        Assert.Contains("class s_ask,s_nap waiting", text, StringComparison.Ordinal);

        await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { });
        await _host.Alpha.WaitForRunAsync(id);
        Assert.Equal("$start=completed think=completed never=skipped both=cancelled ask=cancelled after=skipped nap=cancelled last=skipped $end=cancelled", States(await GraphAsync(id)));
    }

    [Fact]
    public async Task Graph_OfMapsAndLoops_CountsItsItems()
    {
        _workflows.Add("w", """
              - id: each
                type: map
                over: [1, 0, 3]
                steps:
                  - {id: divide, type: tool, tool: calculator, arguments: {expression: "6 / {{ item }}"}, onError: continue}
                  - {id: odd, type: transform, when: item == 3, output: 1}
              - {id: again, type: loop, maxIterations: 2, until: "false", steps: [{id: turn, type: transform, output: "{{ iteration }}"}]}
              - id: broken
                type: map
                over: [1, 0]
                concurrency: 1
                steps: [{id: stop, type: tool, tool: calculator, arguments: {expression: "1 / {{ item }}"}, retry: {attempts: 2, delaySeconds: 0}}]
            """);
        string id = await StartAsync("w");
        await _host.Alpha.WaitForRunAsync(id);

        JsonElement graph = await GraphAsync(id);

        Assert.Equal("$start=completed each=completed divide=failed odd=completed again=completed turn=completed broken=failed stop=failed $end=failed", States(graph));
        Assert.Equal("""{"total":3,"completed":3}""", Node(graph, "each").GetProperty("iterations").GetRawText());
        Assert.Equal("""{"total":3,"failed":1,"completed":2}""", Node(graph, "divide").GetProperty("instances").GetRawText());
        Assert.Equal("""{"total":3,"completed":1,"skipped":2}""", Node(graph, "odd").GetProperty("instances").GetRawText());
        Assert.Equal("""{"total":2,"completed":2}""", Node(graph, "again").GetProperty("iterations").GetRawText());
        Assert.Equal("""{"total":2,"failed":1,"completed":1}""", Node(graph, "broken").GetProperty("iterations").GetRawText());
        Assert.Equal(("tool_failed", 3), (Node(graph, "stop").Text("error", "code"), Node(graph, "stop").GetProperty("attempts").GetInt32()));
        Assert.Contains("<br/>failed, 1 failed, 1 completed", await MermaidAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Graph_OfAnotherAttempt_ForgetsWhatTheFirstHadInside()
    {
        _workflows.Add("w", """
              - id: box
                type: parallel
                retry: {attempts: 2, delaySeconds: 0}
                branches:
                  - {id: a, steps: [{id: fine, type: transform, output: 1}, {id: once, type: agent, agent: helper, message: hi}, {id: then, type: transform, output: 2}]}
                  - {id: b, steps: [{id: other, type: transform, output: 1}]}
            """);
        int calls = 0;
        _host.Model.Default = (_, _) => Task.FromResult(Interlocked.Increment(ref calls) == 1 ? new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"no"}}""" } : FakeAnswer.Says("yes"));
        string id = await StartAsync("w");
        await _host.Alpha.WaitForRunAsync(id);

        JsonElement graph = await GraphAsync(id);

        Assert.Equal("$start=completed box=completed fine=completed once=completed then=completed other=completed $end=completed", States(graph));
        Assert.Equal((2, 1), (Node(graph, "box").GetProperty("attempts").GetInt32(), Node(graph, "once").GetProperty("attempts").GetInt32()));
        Assert.False(Node(graph, "once").TryGetProperty("error", out _));
    }

    [Fact]
    public async Task Graph_OfWhatIsUndone_ShowsWhichSteps()
    {
        _workflows.Add("w", """
              - {id: one, type: transform, output: 1, compensate: {id: undo_one, type: transform, output: undone}}
              - {id: two, type: transform, output: 1, compensate: {id: undo_two, type: tool, tool: calculator, arguments: {expression: "1 / 0"}, retry: {attempts: 2, delaySeconds: 0}}}
              - {id: three, type: transform, output: 1, compensate: {id: undo_three, type: human, title: Undo?}}
              - {id: four, type: transform, when: "false", output: 1, compensate: {id: undo_four, type: transform, output: 1}}
              - {id: stop, type: end, status: failed}
              - {id: after, type: transform, output: 1}
            """);
        string id = await StartAsync("w");
        await _host.Alpha.WaitForStatusAsync(id, "waiting");

        JsonElement graph = await GraphAsync(id);
        Assert.True(graph.GetProperty("compensating").GetBoolean());
        Assert.Equal("$start=completed one=completed undo_one=pending two=completed undo_two=pending three=compensating undo_three=waiting four=skipped undo_four=pending stop=completed after=skipped $end=pending", States(graph));
        JsonElement approval = (await _host.Alpha.GetJsonAsync("/api/v1/approvals")).Body.GetProperty("data")[0];
        Assert.Equal(200, (await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval.Text("id")}", new { decision = "approve" })).Status);
        await _host.Alpha.WaitForRunAsync(id);

        graph = await GraphAsync(id);
        Assert.False(graph.GetProperty("compensating").GetBoolean());
        Assert.Equal("$start=completed one=compensated undo_one=completed two=compensation_failed undo_two=failed three=compensated undo_three=completed four=skipped undo_four=skipped stop=completed after=skipped $end=failed", States(graph));
        Assert.Equal(2, Node(graph, "undo_two").GetProperty("attempts").GetInt32());
        Assert.Contains("class s_two compensation_failed", await MermaidAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Graph_OfStepsInsideASubworkflow_BelongsToTheStepThatRunsIt()
    {
        _workflows.Add("inner", "  - {id: think, type: agent, agent: helper, message: hi}\n  - {id: ask, type: human, title: t}");
        _workflows.Add("w", "  - {id: think, type: transform, output: 1}\n  - {id: sub, type: subworkflow, workflow: inner}");
        string id = await StartAsync("w");
        await _host.Alpha.WaitForStatusAsync(id, "waiting");

        JsonElement graph = await GraphAsync(id);

        Assert.Equal("$start=completed think=completed sub=waiting $end=pending", States(graph));
        Assert.False(Node(graph, "think").TryGetProperty("usage", out _));
        Assert.Equal(0.001m, Node(graph, "sub").GetProperty("usage").GetProperty("costUsd").GetDecimal());
    }

    [Fact]
    public async Task Graph_OfAnAgent_ShowsItsCallsInTheirOrder()
    {
        await _host.Alpha.PostJsonAsync("/api/v1/agents", new { slug = "tools", name = "n", model = "local/local", instructions = "i", tools = new object[] { new { name = "calculator", approval = new { when = "args.expression contains '*'" } } } });
        _host.Model.Script(new FakeAnswer { Calls = [("a", "calculator", """{"expression":"1+2"}"""), ("b", "calculator", """{"expression":"3*4"}""")] });
        (_, JsonElement started, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { agent = "tools", message = "go" });
        string id = started.Text("id");
        await _host.Alpha.WaitForStatusAsync(id, "waiting");

        JsonElement graph = await GraphAsync(id);
        Assert.Equal("$start=completed model_1=completed model_1_tool_1=completed model_1_tool_2=waiting $end=pending", States(graph));
        JsonElement waiting = Node(graph, "model_1_tool_2");
        Assert.Equal(("approval", "calculator"), (waiting.Text("wait", "kind"), waiting.Text("wait", "name")));
        Assert.Equal(200, (await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{waiting.Text("wait", "id")}", new { decision = "reject" })).Status);
        await _host.Alpha.WaitForRunAsync(id);

        graph = await GraphAsync(id);
        Assert.Equal("$start=completed model_1=completed model_1_tool_1=completed model_1_tool_2=failed model_2=completed $end=completed", States(graph));
        Assert.Equal(["$start>model_1", "model_1>model_1_tool_1", "model_1>model_1_tool_2", "model_1_tool_1>model_2", "model_1_tool_2>model_2", "model_2>$end"],
            graph.GetProperty("edges").EnumerateArray().Select(e => $"{e.Text("from")}>{e.Text("to")}").Order(StringComparer.Ordinal));
        Assert.Equal(0.001m, Node(graph, "model_2").GetProperty("usage").GetProperty("costUsd").GetDecimal());
        Assert.Contains("class s_model_1_tool_2 failed", await MermaidAsync(id), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Graph_AskedAgain_IsSentWhenTheLogHasGrown()
    {
        _workflows.Add("w", "  - {id: ask, type: human, title: t}\n  - {id: out, type: transform, output: 1}");
        string id = await StartAsync("w"), path = $"/api/v1/runs/{id}/graph";
        await _host.Alpha.WaitForStatusAsync(id, "waiting");
        (int first, JsonElement graph, HttpResponseMessage response) = await _host.Alpha.GetJsonAsync(path);
        string tag = response.Headers.ETag!.Tag;

        Assert.Equal((200, $"\"{graph.GetProperty("lastSeq").GetInt64()}-json\""), (first, tag));
        Assert.Equal((304, ""), await ConditionalAsync(path, tag));
        Assert.Equal((304, ""), await ConditionalAsync(path, $"\"1\", W/{tag}"));
        Assert.Equal(200, (await ConditionalAsync($"{path}?format=mermaid", tag)).Status);
        Assert.Equal(200, (await ConditionalAsync(path, "nonsense")).Status);
        JsonElement approval = (await _host.Alpha.GetJsonAsync("/api/v1/approvals")).Body.GetProperty("data")[0];
        await _host.Alpha.PostJsonAsync($"/api/v1/approvals/{approval.Text("id")}", new { decision = "approve" });
        await _host.Alpha.WaitForRunAsync(id);
        Assert.Equal(200, (await ConditionalAsync(path, tag)).Status);
    }

    [Fact]
    public async Task Graph_OfNothing_IsRefused()
    {
        _workflows.Add("w", "  - {id: out, type: transform, output: 1}");
        string id = await StartAsync("w"), path = $"/api/v1/runs/{id}/graph";
        await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal(404, (await _host.Beta.GetJsonAsync(path)).Status);
        Assert.Equal(404, (await _host.Alpha.GetJsonAsync("/api/v1/runs/nonsense/graph")).Status);
        Assert.Equal((400, "validation_failed"), await ProblemAsync($"{path}?format=svg"));
        // In PostgreSQL the application may not delete events: partitions are dropped by who owns them.
        if (_host.Services.GetRequiredService<Databases>().UsesPostgres) return;
        await _host.Database.Writer.WriteAsync(session =>
        {
            session.Execute($"DELETE FROM run_events WHERE run_id = '{id}'");
            return 0;
        });
        Assert.Equal((410, "run_log_deleted"), await ProblemAsync(path));
    }

    private async Task<string> StartAsync(string workflow)
    {
        (int status, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow, inputs = new { } });
        Assert.True(status == 202, $"{status} {run}");
        return run.Text("id");
    }

    private async Task<JsonElement> GraphAsync(string id)
    {
        (int status, JsonElement graph, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/graph");
        Assert.True(status == 200, $"{status} {graph}");
        return graph;
    }

    private async Task<string> MermaidAsync(string id)
    {
        using HttpResponseMessage response = await _host.Alpha.GetAsync($"/api/v1/runs/{id}/graph?format=mermaid");
        Assert.Equal("text/vnd.mermaid", response.Content.Headers.ContentType?.MediaType);
        return await response.Content.ReadAsStringAsync();
    }

    private async Task<(int Status, string Body)> ConditionalAsync(string path, string tags)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.TryAddWithoutValidation("If-None-Match", tags);
        using HttpResponseMessage response = await _host.Alpha.SendAsync(request);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private async Task<(int, string)> ProblemAsync(string path)
    {
        (int status, JsonElement body, _) = await _host.Alpha.GetJsonAsync(path);
        return (status, body.Text("code"));
    }

    private static JsonElement Node(JsonElement graph, string id) => graph.GetProperty("nodes").EnumerateArray().Single(n => n.Text("id") == id);

    private static string States(JsonElement graph) => string.Join(' ', graph.GetProperty("nodes").EnumerateArray().Select(n => $"{n.Text("id")}={n.Text("state")}"));
}
