using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

public sealed class RunEventsTests
{
    [Fact]
    public async Task Events_EndedRun_AreGaplessAndEndWithTheFinalEvent()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement chat, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });

        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Get, $"/api/v1/runs/{chat.Text("runId")}/events");
        List<SseEvent> events = await reader.AllAsync();

        Assert.Equal(["run.accepted", "run.started", "step.started", "model.called", "model.completed", "message.completed", "run.completed"], events.Select(e => e.Name));
        Assert.Equal(Enumerable.Range(1, 7).Select(i => i.ToString()), events.Select(e => e.Id));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(6)]
    public async Task Events_LastEventId_GetsTheRestOnce(int seen)
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement chat, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });

        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Get, $"/api/v1/runs/{chat.Text("runId")}/events", null, ("Last-Event-ID", seen.ToString()));
        List<SseEvent> events = await reader.AllAsync();

        Assert.Equal(Enumerable.Range(seen + 1, 7 - seen).Select(i => i.ToString()), events.Select(e => e.Id));
        Assert.Equal("run.completed", events[^1].Name);
    }

    [Fact]
    public async Task Events_JoinedMidMessage_GetThePartialTextThenTheRest()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        var second = new TaskCompletionSource();
        host.Model.Script(FakeAnswer.Says("One ", "two ", "three") with { Gate = (i, ct) => i == 2 ? second.Task.WaitAsync(ct) : Task.CompletedTask });
        await using SseReader first = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi", stream = true });
        string runId = (await first.UntilAsync("run.started")).Json.Text("runId");
        string text = "";
        while (text != "One two ") text += (await first.UntilAsync("message.delta")).Json.Text("text");

        await using SseReader late = await SseReader.OpenAsync(host.Alpha, HttpMethod.Get, $"/api/v1/runs/{runId}/events", null, ("Last-Event-ID", "4"));
        SseEvent partial = (await late.NextAsync())!;
        second.SetResult();
        List<SseEvent> rest = await late.AllAsync();

        Assert.Equal("message.delta", partial.Name);
        Assert.Equal("One two ", partial.Json.Text("text"));
        Assert.Equal("One two three", rest.Single(e => e.Name == "message.completed").Json.Text("text"));
        Assert.Equal(["5", "6", "7"], rest.Where(e => e.Id is not null).Select(e => e.Id));
    }

    [Fact]
    public async Task Chat_ClientLeaves_RunGoesOnAndCanBeResumed()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        var gate = new TaskCompletionSource();
        host.Model.Script(FakeAnswer.Says("One", "Two") with { Gate = (i, ct) => i == 1 ? gate.Task.WaitAsync(ct) : Task.CompletedTask });
        string runId;
        await using (SseReader first = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi", stream = true }))
        {
            runId = (await first.UntilAsync("run.started")).Json.Text("runId");
            await first.UntilAsync("message.delta");
        }
        gate.SetResult();

        JsonElement run = await host.Alpha.WaitForRunAsync(runId);

        Assert.Equal("completed", run.Text("status"));
    }

    [Fact]
    public async Task Events_JsonAccept_PagesThroughTheLog()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement chat, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
        var seqs = new List<long>();
        string? cursor = "";
        while (cursor is not null)
        {
            (_, JsonElement page, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs/{chat.Text("runId")}/events?limit=3&cursor={cursor}", ("Accept", "application/json"));
            seqs.AddRange(page.GetProperty("data").EnumerateArray().Select(e => e.GetProperty("seq").GetInt64()));
            cursor = page.TryGetProperty("nextCursor", out JsonElement next) ? next.GetString() : null;
        }

        Assert.Equal([1, 2, 3, 4, 5, 6, 7], seqs);
    }

    [Fact]
    public async Task Events_IdleRun_SendsPings()
    {
        await using TestHost host = await TestHost.StartAsync(settings: new() { ["Runs:PingSeconds"] = "1" });
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = async (_, ct) =>
        {
            await Task.Delay(Timeout.Infinite, ct);
            return null!;
        };

        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi", stream = true });
        string runId = (await reader.UntilAsync("run.started")).Json.Text("runId");

        Assert.Equal(": ping", (await reader.UntilAsync(":")).Data);
        await host.Alpha.PostJsonAsync($"/api/v1/runs/{runId}/cancel", new { });
        await reader.UntilAsync("run.cancelled");
    }

    [Fact]
    public async Task Cancel_ActiveRun_ClosesTheModelCallAndKeepsThePartialAnswer()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Script(FakeAnswer.Says("Half", "Rest") with { Gate = (i, ct) => i == 1 ? Task.Delay(Timeout.Infinite, ct) : Task.CompletedTask });
        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi", stream = true });
        JsonElement started = (await reader.UntilAsync("run.started")).Json;
        await reader.UntilAsync("message.delta");

        (int status, _, _) = await host.Alpha.PostJsonAsync($"/api/v1/runs/{started.Text("runId")}/cancel", new { });

        Assert.Equal(202, status);
        Assert.True(await host.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
        Assert.Equal("requested", (await reader.UntilAsync("run.cancelled")).Json.Text("reason"));
        (_, JsonElement messages, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{started.Text("conversationId")}/messages");
        Assert.Equal(["Hi", "Half"], messages.GetProperty("data").EnumerateArray().Select(m => m.Text("content")));
        (int again, JsonElement problem, _) = await host.Alpha.PostJsonAsync($"/api/v1/runs/{started.Text("runId")}/cancel", new { });
        Assert.Equal(409, again);
        Assert.Equal("run_not_active", problem.Text("code"));
        Assert.Equal(["orchestrator.run.cancelled"], await host.OutboxSubjectsAsync());
    }

    [Fact]
    public async Task Chat_ProviderFails_IsAProblemWithTheProvidersCode()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = (_, _) => throw new MultiAgent.Models.Dispatch.ModelException(503, "provider_unavailable", "No provider answers.");

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });

        Assert.Equal(503, status);
        Assert.Equal("provider_unavailable", body.Text("code"));
        Assert.Equal(["orchestrator.run.failed"], await host.OutboxSubjectsAsync());
        Assert.Equal(["started", "failed"], host.Spool.Journeys.Select(j => j.Text("kind")));
    }

    [Fact]
    public async Task Runs_List_FiltersAndPages()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await host.Alpha.CreateAgentAsync("other");
        for (int i = 0; i < 3; i++) await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi", metadata = new { n = $"{i}" } });
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "other", message = "Hi" });

        (_, JsonElement first, _) = await host.Alpha.GetJsonAsync("/api/v1/runs?agent=helper&limit=2");
        (_, JsonElement second, _) = await host.Alpha.GetJsonAsync($"/api/v1/runs?agent=helper&limit=2&cursor={first.Text("nextCursor")}");
        (_, JsonElement failed, _) = await host.Alpha.GetJsonAsync("/api/v1/runs?status=failed");
        (int invalid, _, _) = await host.Alpha.GetJsonAsync("/api/v1/runs?status=odd");

        Assert.Equal(["2", "1", "0"], first.GetProperty("data").EnumerateArray().Concat(second.GetProperty("data").EnumerateArray()).Select(r => r.Text("metadata", "n")));
        Assert.False(second.TryGetProperty("nextCursor", out _));
        Assert.Empty(failed.GetProperty("data").EnumerateArray());
        Assert.Equal(400, invalid);
    }
}
