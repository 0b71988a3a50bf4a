using System.Text.Json;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Tests.Support;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <summary>
/// Runs that an earlier process left behind. The folder of a live host is copied while its model is silent, and a second
/// host starts on the copy: it sees what a process sees after kill -9 at that moment.
/// </summary>
public sealed class ResumeTests : IDisposable
{
    private readonly string _crashed = Directory.CreateTempSubdirectory("maap-crash-").FullName;
    private readonly TaskCompletionSource _release = new();

    [Fact]
    public async Task Run_KilledDuringTheModelCall_CallsAgainAndFinishes()
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = Silent;
        string runId = await StartRunAsync(host, new { agent = "helper", message = "Hi" });
        await host.Model.WaitForRequestsAsync(1);
        Copy(host);

        await using TestHost again = await TestHost.StartAsync(_crashed);
        JsonElement run = await again.Alpha.WaitForRunAsync(runId);

        Assert.Equal("completed", run.Text("status"));
        Assert.Equal("Hi", Assert.Single(again.Model.Requests).LastContent);
        Assert.Equal(["run.accepted", "run.started", "step.started", "model.called", "run.resumed", "model.completed", "message.completed", "run.completed"], await EventsAsync(again, runId));
        (_, JsonElement messages, _) = await again.Alpha.GetJsonAsync($"/api/v1/conversations/{run.Text("conversationId")}/messages");
        Assert.Equal(["Hi", "Hello there"], messages.GetProperty("data").EnumerateArray().Select(m => m.Text("content")));
    }

    [Fact]
    public async Task Run_KilledAfterTools_KeepsTheirResults()
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"6*7"}"""));
        host.Model.Default = Silent;
        string runId = await StartRunAsync(host, new { agent = "helper", message = "Hi" });
        await host.Model.WaitForRequestsAsync(2);
        Copy(host);

        await using TestHost again = await TestHost.StartAsync(_crashed);
        JsonElement run = await again.Alpha.WaitForRunAsync(runId);

        SeenRequest request = Assert.Single(again.Model.Requests);
        Assert.Equal(["system", "user", "assistant", "tool"], request.Roles);
        Assert.Equal("42", request.LastContent);
        Assert.Equal(2, run.GetProperty("steps").GetInt32());
        Assert.Equal(10, run.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        Assert.Equal(1, (await EventsAsync(again, runId)).Count(t => t == "tool_call.intended"));
    }

    [Theory]
    [InlineData("none", "42")]
    [InlineData("idempotent", "42")]
    [InlineData("unsafe", "The outcome of this call is unknown")]
    public async Task Run_KilledDuringATool_IsRepeatedOnlyWhereThatIsSafe(string effect, string expected)
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { tools = new[] { new { name = "calculator" } } });
        host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"6*7"}"""));
        host.Model.Default = Silent;
        string runId = await StartRunAsync(host, new { agent = "helper", message = "Hi" });
        await host.Model.WaitForRequestsAsync(2);
        Copy(host);
        // Takes the log back to where the tool was being called.
        using (var database = new SqliteDatabase("orchestrator", new() { Directory = _crashed }))
        using (SqliteSession session = database.OpenSession())
        {
            session.Execute("DELETE FROM run_events WHERE seq > (SELECT seq FROM run_events WHERE type = 'tool_call.intended'); DELETE FROM messages WHERE visible = 0;");
            session.Execute($"UPDATE run_events SET data = CAST(replace(CAST(data AS TEXT), '\"effect\":\"none\"', '\"effect\":\"{effect}\"') AS BLOB) WHERE type = 'tool_call.intended'");
        }

        await using TestHost again = await TestHost.StartAsync(_crashed);
        JsonElement run = await again.Alpha.WaitForRunAsync(runId);

        Assert.Equal("completed", run.Text("status"));
        Assert.Contains(expected, Assert.Single(again.Model.Requests).LastContent);
        string[] events = await EventsAsync(again, runId);
        Assert.Equal(events.Length, await MaxSeqAsync(again, runId));
    }

    [Fact]
    public async Task Completion_KilledDuringTheModelCall_FinishesFromItsFirstEvent()
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = Silent;
        Task pending = Completions.AgentCompletionsTests.CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}],"seed":3}""", idempotencyKey: "k1");
        await host.Model.WaitForRequestsAsync(1);
        Copy(host);

        await using TestHost again = await TestHost.StartAsync(_crashed);
        (int status, JsonElement body, _) = await Completions.AgentCompletionsTests.CompleteAsync(again, """{"messages":[{"role":"user","content":"Hi"}],"seed":3}""", idempotencyKey: "k1");

        Assert.Equal(200, status);
        Assert.Equal("Hello there", body.GetProperty("choices")[0].Text("message", "content"));
        Assert.Equal(3, Assert.Single(again.Model.Requests).Body.GetProperty("seed").GetInt32());
        _release.SetResult();
        await pending;
    }

    [Fact]
    public async Task Queue_KilledWhileWaiting_RunsInOrder()
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { onBusy = "queue" });
        (_, JsonElement conversation, _) = await host.Alpha.PostJsonAsync("/api/v1/conversations", new { agent = "helper" });
        string id = conversation.Text("id");
        host.Model.Default = Silent;
        await StartRunAsync(host, new { agent = "helper", message = "First", conversationId = id });
        await host.Model.WaitForRequestsAsync(1);
        string last = await StartRunAsync(host, new { agent = "helper", message = "Second", conversationId = id }, "run.accepted", id);
        Copy(host);

        await using TestHost again = await TestHost.StartAsync(_crashed);
        await again.Alpha.WaitForRunAsync(last);

        (_, JsonElement messages, _) = await again.Alpha.GetJsonAsync($"/api/v1/conversations/{id}/messages");
        Assert.Equal(["First", "Hello there", "Second", "Hello there"], messages.GetProperty("data").EnumerateArray().Select(m => m.Text("content")));
    }

    [Fact]
    public async Task Queues_WhoseFirstRunsEndAtOnce_AreAllTakenUp()
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { onBusy = "queue" });
        host.Model.Default = Silent;
        string[] conversations = new string[20];
        for (int i = 0; i < conversations.Length; i++)
        {
            (_, JsonElement conversation, _) = await host.Alpha.PostJsonAsync("/api/v1/conversations", new { agent = "helper" });
            conversations[i] = conversation.Text("id");
            await StartRunAsync(host, new { agent = "helper", message = "First", conversationId = conversations[i] });
        }
        await host.Model.WaitForRequestsAsync(conversations.Length);
        var waiting = new List<string>();
        foreach (string id in conversations) waiting.Add(await StartRunAsync(host, new { agent = "helper", message = "Second", conversationId = id }, "run.accepted", id));
        Copy(host);

        // The first runs have time to end while the last of those that wait for them are not taken up yet.
        await using TestHost again = await TestHost.StartAsync(_crashed);
        foreach (string run in waiting) Assert.Equal("completed", (await again.Alpha.WaitForRunAsync(run)).Text("status"));
    }

    [Fact]
    public async Task Run_CannotBeTakenUp_FailsVisibly()
    {
        NeedsFiles();
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = Silent;
        string runId = await StartRunAsync(host, new { agent = "helper", message = "Hi" });
        await host.Model.WaitForRequestsAsync(1);
        Copy(host);
        using (var database = new SqliteDatabase("orchestrator", new() { Directory = _crashed }))
        using (SqliteSession session = database.OpenSession())
            session.Execute("DELETE FROM agent_versions");

        await using TestHost again = await TestHost.StartAsync(_crashed);
        (_, JsonElement run, _) = await again.Alpha.GetJsonAsync($"/api/v1/runs/{runId}");
        (_, JsonElement health, _) = await again.Alpha.GetJsonAsync("/api/v1/orchestrator/health");

        Assert.Equal("failed", run.Text("status"));
        Assert.Equal("run.failed", (await EventsAsync(again, runId))[^1]);
        Assert.Equal(["orchestrator.run.failed"], await again.OutboxSubjectsAsync());
        Assert.Equal("ok", health.GetProperty("dependencies").EnumerateArray().Single(d => d.Text("name") == "runs").Text("status"));
    }

    [Fact]
    public async Task Stop_RunDoesNotEndInTime_StaysUnfinishedAndResumes()
    {
        TestHost host = await TestHost.StartAsync(_crashed);
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = Silent;
        string runId = await StartRunAsync(host, new { agent = "helper", message = "Hi" });
        await host.Model.WaitForRequestsAsync(1);
        await host.StopAsync();

        await using TestHost again = await TestHost.StartAsync(_crashed);
        JsonElement run = await again.Alpha.WaitForRunAsync(runId);

        Assert.Equal("completed", run.Text("status"));
        Assert.True(await host.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
    }

    [Fact]
    public async Task Stop_RunEndsInTime_IsWaitedFor()
    {
        TestHost host = await TestHost.StartAsync(_crashed);
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = Silent;
        string runId = await StartRunAsync(host, new { agent = "helper", message = "Hi" });
        await host.Model.WaitForRequestsAsync(1);
        Task stopping = host.StopAsync();
        _release.SetResult();
        await stopping;

        await using TestHost again = await TestHost.StartAsync(_crashed);
        (_, JsonElement run, _) = await again.Alpha.GetJsonAsync($"/api/v1/runs/{runId}");

        Assert.Equal("completed", run.Text("status"));
        Assert.DoesNotContain("run.resumed", await EventsAsync(again, runId));
    }

    public void Dispose()
    {
        _release.TrySetResult();
        Directory.Delete(_crashed, recursive: true);
    }

    private async Task<FakeAnswer> Silent(SeenRequest request, CancellationToken cancellationToken)
    {
        await _release.Task.WaitAsync(cancellationToken);
        return FakeAnswer.Says("Hello", " there");
    }

    /// <summary>Starts a run and leaves its stream.</summary>
    private static async Task<string> StartRunAsync(TestHost host, object body, string until = "run.started", string? conversationId = null)
    {
        if (until == "run.accepted")
        {
            // A waiting run shows nothing on the chat stream yet; its id is in the list.
            _ = SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", body, ("Accept", "text/event-stream"));
            string id = "";
            await Waiting.UntilAsync(async () =>
            {
                (_, JsonElement runs, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs?status=queued&conversation={conversationId}");
                if (runs.GetProperty("data").GetArrayLength() == 0) return false;
                id = runs.GetProperty("data")[0].Text("id");
                return true;
            }, "a waiting run");
            return id;
        }
        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", body, ("Accept", "text/event-stream"));
        return (await reader.UntilAsync(until)).Json.Text("runId");
    }

    private static void NeedsFiles() => Assert.SkipWhen(TestStorage.IsPostgres, "A server's database cannot be copied at an instant; ReplicaTests cut a process off instead.");

    private void Copy(TestHost host)
    {
        // The write-ahead log is part of what is on disk.
        foreach (string file in Directory.EnumerateFiles(host.Folder, "orchestrator.db*")) File.Copy(file, Path.Combine(_crashed, Path.GetFileName(file)));
        File.Delete(Path.Combine(_crashed, "orchestrator.db-shm"));
    }

    private static async Task<string[]> EventsAsync(TestHost host, string runId)
    {
        (_, JsonElement page, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}/events?limit=200", ("Accept", "application/json"));
        return [.. page.GetProperty("data").EnumerateArray().Select(e => e.Text("type"))];
    }

    private static async Task<long> MaxSeqAsync(TestHost host, string runId)
    {
        (_, JsonElement page, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{runId}/events?limit=200", ("Accept", "application/json"));
        return page.GetProperty("data").EnumerateArray().Max(e => e.GetProperty("seq").GetInt64());
    }
}
