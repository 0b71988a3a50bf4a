using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Tools;

/// <summary>Agents and workflows as tools of an agent.</summary>
public sealed class SubRunTests
{
    private const string Workflow = """{"apiVersion":"maap/v1","kind":"Workflow","name":"double","description":"Doubles.","inputs":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]},"steps":[{"id":"t","type":"transform","output":{"twice":"{{ inputs.n | times: 2 }}"}}]}""";

    [Fact]
    public async Task Supervisor_AsksAgentAndWorkflow_AsRunsOfTheirOwn()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync("writer", new { description = "Writes.", instructions = "In {{ style }}.", variables = new[] { new { name = "style", required = true } } });
        Assert.Equal(201, (await host.Alpha.PostJsonAsync("/api/v1/workflows", Workflow)).Status);
        await host.Alpha.CreateAgentAsync("boss", new { tools = new[] { new { name = "agent/writer" }, new { name = "workflow/double" } } });
        host.Model.Script(
            new FakeAnswer { Calls = [("c1", "agent__writer", """{"message":"Write","variables":{"style":"prose"}}""")] },
            FakeAnswer.Says("A text."),
            new FakeAnswer { Calls = [("c2", "workflow__double", """{"n":"x"}"""), ("c3", "workflow__double", """{"n":21}""")] },
            FakeAnswer.Says("Done."));

        (_, JsonElement run, _) = await host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "boss", message = "Go" });

        Assert.True(run.Text("status") == "completed", run.GetRawText());
        SeenRequest[] seen = [.. host.Model.Requests];
        Assert.Equal("In prose.", seen[1].Messages[0].Text("content"));
        Assert.Equal("A text.", seen[2].LastContent);
        Assert.Contains("fit the schema", seen[3].Messages[^2].Text("content"));
        Assert.Contains("42", seen[3].LastContent);
        // Three answers of the supervisor and one of the agent that it asked.
        Assert.Equal(20, run.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        (_, JsonElement children, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run.Text("id")}");
        Assert.Equal(["workflow", "agent"], children.GetProperty("data").EnumerateArray().Select(r => r.Text("kind")));
        (_, JsonElement list, _) = await host.Alpha.GetJsonAsync("/api/v1/runs");
        Assert.Single(list.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task Agents_ThatAskEachOther_StopAtTheDepth()
    {
        await using TestHost host = await TestHost.StartAsync(settings: new() { ["Runs:MaxSubRunDepth"] = "2" });
        await host.Alpha.CreateAgentAsync("echo");
        (int status, JsonElement body, _) = await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/echo", new { name = "echo", model = "fake/model", tools = new[] { new { name = "agent/echo" } } });
        Assert.True(status == 200, body.GetRawText());
        host.Model.Default = (request, _) => Task.FromResult(request.Roles[^1] == "tool" ? FakeAnswer.Says(request.LastContent) : FakeAnswer.Calling("agent__echo", JsonSerializer.Serialize(new { message = $"deeper than {request.LastContent}" })));

        (_, JsonElement run, _) = await host.Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "echo", message = "Go" });

        Assert.Equal("completed", run.Text("status"));
        Assert.Equal(6, host.Model.Requests.Count);
        Assert.Contains("2 deep at most", host.Model.Requests.Last().LastContent);
        (_, JsonElement child, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run.Text("id")}");
        (_, JsonElement grandchild, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs?parent={child.GetProperty("data")[0].Text("id")}");
        (_, JsonElement events, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{grandchild.GetProperty("data")[0].Text("id")}/events", ("Accept", "application/json"));
        Assert.Contains(events.GetProperty("data").EnumerateArray(), e => e.Text("type") == "tool_call.completed" && e.GetProperty("data").TryGetProperty("code", out JsonElement code) && code.GetString() == "run_depth_exceeded");
    }

    [Fact]
    public async Task Cancel_OfTheSupervisor_CancelsTheAgentThatItAsked()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync("slow");
        await host.Alpha.CreateAgentAsync("boss", new { tools = new[] { new { name = "agent/slow" } } });
        host.Model.Script(FakeAnswer.Calling("agent__slow", """{"message":"Wait"}"""));
        host.Model.Default = async (_, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return FakeAnswer.Says("never");
        };
        (_, JsonElement run, _) = await host.Alpha.PostJsonAsync("/api/v1/runs", new { agent = "boss", message = "Go" });
        await host.Model.WaitForRequestsAsync(2);

        await host.Alpha.PostJsonAsync($"/api/v1/runs/{run.Text("id")}/cancel", new { });

        Assert.Equal("cancelled", (await host.Alpha.WaitForRunAsync(run.Text("id"))).Text("status"));
        (_, JsonElement children, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs?parent={run.Text("id")}");
        string child = Assert.Single(children.GetProperty("data").EnumerateArray()).Text("id");
        Assert.Equal("cancelled", (await host.Alpha.WaitForRunAsync(child)).Text("status"));
    }

    [Fact]
    public async Task Crash_WhileTheOtherAgentAnswers_FindsTheSameRunAgain()
    {
        if (TestStorage.IsPostgres) Assert.Skip("Copies the files of the embedded database.");
        string crashed = Directory.CreateTempSubdirectory("maap-crash-").FullName;
        try
        {
            await using TestHost host = await TestHost.StartAsync();
            await host.Alpha.CreateAgentAsync("slow");
            await host.Alpha.CreateAgentAsync("boss", new { tools = new[] { new { name = "agent/slow" } } });
            host.Model.Script(FakeAnswer.Calling("agent__slow", """{"message":"Wait"}"""));
            host.Model.Default = async (_, token) =>
            {
                await Task.Delay(Timeout.Infinite, token);
                return FakeAnswer.Says("never");
            };
            (_, JsonElement run, _) = await host.Alpha.PostJsonAsync("/api/v1/runs", new { agent = "boss", message = "Go" });
            await host.Model.WaitForRequestsAsync(2);
            foreach (string file in Directory.EnumerateFiles(host.Folder, "orchestrator.db*").Where(f => !f.EndsWith("-shm", StringComparison.Ordinal))) File.Copy(file, Path.Combine(crashed, Path.GetFileName(file)));

            await using TestHost again = await TestHost.StartAsync(crashed);
            JsonElement end = await again.Alpha.WaitForRunAsync(run.Text("id"));

            Assert.True(end.Text("status") == "completed", end.GetRawText());
            (_, JsonElement children, _) = await again.Alpha.GetJsonAsync($"/api/v1/runs?parent={run.Text("id")}");
            Assert.Equal("completed", Assert.Single(children.GetProperty("data").EnumerateArray()).Text("status"));
            Assert.Equal("Hello there", again.Model.Requests.Last().LastContent);
        }
        finally
        {
            Directory.Delete(crashed, recursive: true);
        }
    }
}
