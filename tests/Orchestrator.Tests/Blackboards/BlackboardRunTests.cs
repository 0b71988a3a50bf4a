using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Blackboards;

/// <summary>Agents and steps of a workflow that share a blackboard.</summary>
public sealed class BlackboardRunTests : IAsyncLifetime
{
    private const string Board = """
        blackboard:
          facts: {schema: {type: array, items: {type: string}}, merge: append, description: What is known.}
          total: {schema: {type: integer}, merge: sum, initial: 0}
          verdict: {schema: {type: string, enum: [good, bad]}}
        """;

    private readonly TestWorkflows _workflows = new();
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(_workflows));
        await _host.Alpha.CreateAgentAsync("scribe", new { tools = new[] { new { name = "blackboard_read" }, new { name = "blackboard_write" } } });
        await _host.Alpha.CreateAgentAsync("boss", new { tools = new[] { new { name = "agent/scribe" } } });
        _host.Model.Default = (request, _) => Task.FromResult(Answer(request));
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    private static FakeAnswer Answer(SeenRequest request)
    {
        string asked = request.Messages.Last(m => m.Text("role") == "user").Text("content");
        if (request.Roles[^1] == "tool") return FakeAnswer.Says(request.LastContent);
        return asked.Split(' ', 2) switch
        {
            ["write", { } arguments] => FakeAnswer.Calling("blackboard_write", arguments),
            ["read", ..] => FakeAnswer.Calling("blackboard_read", "{}"),
            ["tell", { } message] => FakeAnswer.Calling("agent__scribe", JsonSerializer.Serialize(new { message })),
            _ => FakeAnswer.Says("Hello"),
        };
    }

    [Fact]
    public async Task StepsAndAgents_ShareIt_AndEveryWriteIsInTheLogOfWhoWrote()
    {
        _workflows.Add("w", """
              - {id: seed, type: transform, output: 2, set: {total: "{{ output }}", facts: ["seeded {{ output }}"]}}
              - {id: note, type: agent, agent: boss, message: 'tell write {"name":"facts","value":"noted"}'}
              - {id: judge, type: tool, tool: blackboard_write, arguments: {name: verdict, value: good}, when: blackboard.total == 2}
              - {id: ask, type: agent, agent: scribe, message: read}
              - {id: out, type: transform, output: "{{ blackboard }}"}
            """, Board);
        JsonElement run = await RunAsync();
        string id = run.Text("id");

        Assert.Equal("""{"facts":["seeded 2","noted"],"total":2,"verdict":"good"}""", run.GetProperty("output").GetRawText());
        (_, JsonElement board, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/blackboard");
        JsonElement facts = board.GetProperty("entries").EnumerateArray().Single(e => e.Text("name") == "facts");
        Assert.Equal((id, 4, "append", 3, "scribe"), (board.Text("runId"), board.GetProperty("version").GetInt64(), facts.Text("merge"), facts.GetProperty("version").GetInt64(), facts.Text("written", "agent")));
        // The run two below, which wrote, sees the same board and has the write in its log.
        string scribe = facts.Text("written", "runId");
        Assert.Equal(board.GetRawText(), (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{scribe}/blackboard")).Body.GetRawText());
        JsonElement written = Assert.Single(await LogAsync(scribe), e => e.Text("type") == "blackboard.written").GetProperty("data");
        Assert.Equal(("facts", 3, "scribe", id, "noted"), (written.Text("name"), written.GetProperty("version").GetInt64(), written.Text("agent"), written.Text("boardRunId"), written.Text("value")));
        Assert.Equal(["/seed", "/seed", "/judge"], (await LogAsync(id)).Where(e => e.Text("type") == "blackboard.written").Select(e => e.GetProperty("data").Text("path")));
        (_, JsonElement history, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/blackboard/history?name=facts&limit=1");
        Assert.Equal("""["seeded 2"]""", history.GetProperty("data")[0].GetProperty("value").GetRawText());
        (_, JsonElement rest, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/blackboard/history?name=facts&limit=1&cursor={history.Text("nextCursor")}");
        Assert.Equal("\"noted\"", rest.GetProperty("data")[0].GetProperty("given").GetRawText());
        (_, JsonElement before, _) = await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/blackboard?version=2");
        Assert.Equal("""["seeded 2"]""", before.GetProperty("entries").EnumerateArray().Single(e => e.Text("name") == "facts").GetProperty("value").GetRawText());
        Assert.Contains("\"version\":4", _host.Model.Requests.Last().LastContent);
        Assert.Equal((404, 404), ((await _host.Beta.GetJsonAsync($"/api/v1/runs/{id}/blackboard")).Status, (await _host.Beta.GetJsonAsync($"/api/v1/runs/{id}/blackboard/history")).Status));
    }

    [Fact]
    public async Task Write_ThatDoesNotFit_IsTold_AndChangesNothing()
    {
        _workflows.Add("w", """
              - {id: a, type: agent, agent: scribe, message: 'write {"name":"verdict","value":"ugly"}'}
              - {id: b, type: agent, agent: scribe, message: 'write {"name":"verdikt","value":"good"}'}
              - {id: c, type: agent, agent: scribe, message: 'write {"name":"verdict","value":"good","expectedVersion":5}'}
              - {id: d, type: agent, agent: scribe, message: 'write {"name":"total","value":"three"}'}
              - {id: out, type: transform, output: ["{{ steps.a.output }}", "{{ steps.b.output }}", "{{ steps.c.output }}", "{{ steps.d.output }}", "{{ blackboard.verdict }}"]}
            """, Board);
        string[] output = [.. (await RunAsync()).GetProperty("output").EnumerateArray().Select(o => o.ToString())];

        Assert.StartsWith("The value does not fit 'verdict'", output[0], StringComparison.Ordinal);
        Assert.StartsWith("The blackboard has no entry 'verdikt'. There are: facts, total, verdict.", output[1], StringComparison.Ordinal);
        Assert.StartsWith("'verdict' has version 0 and not 5.", output[2], StringComparison.Ordinal);
        Assert.StartsWith("The value does not fit 'total': a number", output[3], StringComparison.Ordinal);
        Assert.Equal("", output[4]);
        (_, JsonElement alone, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "scribe", message = "read" });
        Assert.Equal("This task has no blackboard.", _host.Model.Requests.Last().LastContent);
        Assert.Equal(404, (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{alone.Text("id")}/blackboard")).Status);
    }

    [Fact]
    public async Task Step_WhoseValueDoesNotFit_Fails()
    {
        _workflows.Add("w", "  - {id: a, type: transform, output: ugly, set: {verdict: \"{{ output }}\"}}", Board);
        (_, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { workflow = "w", inputs = new { } });

        Assert.Equal(("failed", "blackboard_value_invalid"), (run.Text("status"), run.Text("error", "code")));
    }

    [Fact]
    public async Task Writers_SideBySide_LoseNothing()
    {
        _workflows.Add("w", """
              - id: many
                type: map
                over: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
                concurrency: 12
                steps:
                  - {id: add, type: transform, output: 1, set: {total: "{{ output }}"}}
                  - {id: note, type: agent, agent: scribe, message: 'write {"name":"facts","value":"f{{ item }}"}'}
              - {id: out, type: transform, output: ["{{ blackboard.total }}", "{{ blackboard.facts.size }}"]}
            """, Board);

        Assert.Equal("[12,12]", (await RunAsync()).GetProperty("output").GetRawText());
    }

    [Fact]
    public async Task Loop_UntilTheBlackboardSaysSo_Ends_AndAForkSeesWhatWasFinished()
    {
        _workflows.Add("w", """
              - id: round
                type: loop
                until: blackboard.total >= 3
                maxIterations: 9
                steps: [{id: add, type: transform, output: "{{ iteration }}", set: {total: 1}}]
              - {id: ask, type: agent, agent: scribe, message: 'write {"name":"facts","value":"once"}'}
              - {id: out, type: transform, output: ["{{ blackboard.total }}", "{{ blackboard.facts }}"]}
            """, Board);
        JsonElement run = await RunAsync();
        string id = run.Text("id");
        Assert.Equal("""[3,["once"]]""", run.GetProperty("output").GetRawText());

        JsonElement[] log = await LogAsync(id);
        long after = log.Last(e => e.Text("type") == "step.completed" && e.GetProperty("data").Text("path") == "/round").GetProperty("seq").GetInt64();
        // The agent's fact is left out, as its step is; it writes it again.
        (int status, JsonElement fork, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/fork", new { afterSeq = after, blackboard = new { total = 7 } });
        JsonElement forked = await _host.Alpha.WaitForRunAsync(fork.Text("id"));
        Assert.Equal((202, """[7,["once"]]"""), (status, forked.GetProperty("output").GetRawText()));
        // Of all of it, the agent's write too.
        (_, JsonElement whole, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/fork", new { });
        Assert.Equal("""[3,["once"]]""", (await _host.Alpha.WaitForRunAsync(whole.Text("id"))).GetProperty("output").GetRawText());
        (int wrong, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/fork", new { blackboard = new { total = "x" } });
        (int unknown, _, _) = await _host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/fork", new { blackboard = new { toll = 1 } });
        Assert.Equal((400, 400), (wrong, unknown));
        Assert.Equal("""[3,["once"]]""", (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}")).Body.GetProperty("output").GetRawText());
    }

    private async Task<JsonElement> RunAsync()
    {
        (int status, JsonElement run, _) = await _host.Alpha.PostJsonAsync("/api/v1/runs?wait=30", new { workflow = "w", inputs = new { } });
        Assert.True(status == 200 && run.Text("status") == "completed", $"{status} {run}");
        return run;
    }

    private async Task<JsonElement[]> LogAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray()];
}
