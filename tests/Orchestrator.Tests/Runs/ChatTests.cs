using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

public sealed class ChatTests
{
    [Fact]
    public async Task Chat_Json_AnswersWithMessageUsageAndIds()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });

        Assert.Equal(200, status);
        Assert.StartsWith("run_", body.Text("runId"));
        Assert.StartsWith("conv_", body.Text("conversationId"));
        Assert.StartsWith("msg_", body.Text("message", "id"));
        Assert.Equal("assistant", body.Text("message", "role"));
        Assert.Equal("Hello there", body.Text("message", "content"));
        Assert.Equal(5, body.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        Assert.Equal(2, body.GetProperty("usage").GetProperty("outputTokens").GetInt64());
        Assert.Equal(0.001m, body.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        Assert.Equal("fake/model", body.Text("model"));
        Assert.Equal("completed", body.Text("status"));
        SeenRequest request = Assert.Single(host.Model.Requests);
        Assert.Equal(["system", "user"], request.Roles);
        Assert.Equal("Hi", request.LastContent);
        Assert.Equal(body.Text("runId"), request.Call.Usage.RunId);
        Assert.Equal("helper", request.Call.Usage.Agent);
    }

    [Fact]
    public async Task Chat_AcceptEventStream_StreamsNamedEvents()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        await using SseReader reader = await SseReader.OpenAsync(host.Alpha, HttpMethod.Post, "/api/v1/chat", new { agent = "helper", message = "Hi" }, ("Accept", "text/event-stream"));
        List<SseEvent> events = await reader.AllAsync();

        Assert.Equal("text/event-stream; charset=utf-8", reader.Response.Content.Headers.ContentType!.ToString());
        Assert.Equal("no", reader.Response.Headers.GetValues("X-Accel-Buffering").Single());
        Assert.Equal("run.started", events[0].Name);
        Assert.Equal("helper", events[0].Json.Text("agent"));
        Assert.Equal(1, events[0].Json.GetProperty("agentVersion").GetInt32());
        Assert.StartsWith("conv_", events[0].Json.Text("conversationId"));
        Assert.Equal("Hello there", string.Concat(events.Where(e => e.Name == "message.delta").Select(e => e.Json.Text("text"))));
        Assert.All(events.Where(e => e.Name == "message.delta"), e => Assert.Null(e.Id));
        SseEvent message = events.Single(e => e.Name == "message.completed");
        Assert.Equal("Hello there", message.Json.Text("text"));
        Assert.Equal("fake/model", message.Json.Text("model"));
        Assert.Equal(5, message.Json.GetProperty("usage").GetProperty("inputTokens").GetInt64());
        Assert.Equal("run.completed", events[^1].Name);
        Assert.Equal("completed", events[^1].Json.Text("status"));
        Assert.True(host.Model.Requests.Single().Body.GetProperty("stream").GetBoolean());
    }

    [Fact]
    public async Task Chat_SecondMessage_SeesTheConversation()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement first, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "One" });

        (int status, JsonElement second, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { message = "Two", conversationId = first.Text("conversationId") });

        Assert.Equal(200, status);
        Assert.Equal(first.Text("conversationId"), second.Text("conversationId"));
        SeenRequest request = host.Model.Requests.Last();
        Assert.Equal(["system", "user", "assistant", "user"], request.Roles);
        Assert.Equal("Two", request.LastContent);
    }
}
