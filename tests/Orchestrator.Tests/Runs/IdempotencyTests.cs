using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Completions;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

public sealed class IdempotencyTests
{
    [Fact]
    public async Task Chat_FiftyEqualPosts_MakeOneRunAndGetItsAnswer()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Idempotency-Key", "k1"))));

        Assert.All(answers, a => Assert.Equal(200, a.Status));
        Assert.Single(answers.Select(a => a.Body.GetRawText()).Distinct());
        Assert.Single(host.Model.Requests);
        (_, JsonElement runs, _) = await host.Alpha.GetJsonAsync("/api/v1/runs");
        Assert.Single(runs.GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task Chat_SameKeyOtherBody_Is409()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Idempotency-Key", "k1"));

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Other" }, ("Idempotency-Key", "k1"));

        Assert.Equal(409, status);
        Assert.Equal("idempotency_key_reused", body.Text("code"));
    }

    [Fact]
    public async Task Chat_SameKeyOfAnotherTenant_IsAnotherRun()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await host.Beta.CreateAgentAsync();

        (_, JsonElement a, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Idempotency-Key", "k1"));
        (_, JsonElement b, _) = await host.Beta.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Idempotency-Key", "k1"));

        Assert.NotEqual(a.Text("runId"), b.Text("runId"));
    }

    [Fact]
    public async Task Chat_RepeatedAfterRestartAsStream_GetsTheSameRun()
    {
        string folder = Directory.CreateTempSubdirectory("maap-orch-").FullName;
        TestHost host = await TestHost.StartAsync(folder);
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement first, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Idempotency-Key", "k1"));
        await host.StopAsync();

        await using TestHost again = await TestHost.StartAsync(folder);
        (_, JsonElement second, _) = await again.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Idempotency-Key", "k1"));
        await using SseReader reader = await SseReader.OpenAsync(again.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi", stream = true }, ("Idempotency-Key", "k1"));
        List<SseEvent> events = await reader.AllAsync();

        Assert.Equal(first.GetRawText(), second.GetRawText());
        Assert.Empty(again.Model.Requests);
        Assert.Equal(["run.started", "message.completed", "run.completed"], events.Select(e => e.Name));
        Assert.Equal(first.Text("runId"), events[0].Json.Text("runId"));
    }

    [Fact]
    public async Task Completion_FiftyEqualRequests_MakeOneRun()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => AgentCompletionsTests.CompleteAsync(host, """{"messages":[{"role":"user","content":"Hi"}]}""", idempotencyKey: "k1")));

        Assert.Single(answers.Select(a => a.Body.GetRawText()).Distinct());
        Assert.Single(host.Model.Requests);
        (int status, JsonElement body, _) = await AgentCompletionsTests.CompleteAsync(host, """{"messages":[{"role":"user","content":"Other"}]}""", idempotencyKey: "k1");
        Assert.Equal(409, status);
        Assert.Equal("idempotency_key_reused", body.Text("error", "code"));
    }
}
