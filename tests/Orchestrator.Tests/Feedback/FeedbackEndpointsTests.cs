using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Feedback;

public sealed class FeedbackEndpointsTests
{
    [Fact]
    public async Task Feedback_TwiceByOneAuthor_ReplacesAndTellsBoth()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        (_, JsonElement chat, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
        string path = $"/api/v1/messages/{chat.Text("message", "id")}/feedback";
        using HttpClient other = host.Client("alpha-user");

        (int status, JsonElement first, _) = await host.Alpha.PostJsonAsync(path, new { rating = 1 });
        (_, JsonElement second, _) = await host.Alpha.PostJsonAsync(path, new { rating = -1, score = 2, comment = "Wrong." });
        await other.PostJsonAsync(path, new { score = 5 });

        Assert.Equal(200, status);
        Assert.Equal(first.Text("id"), second.Text("id"));
        Assert.Equal(-1, second.GetProperty("rating").GetInt32());
        Assert.Equal("helper", second.Text("agent"));
        (_, JsonElement all, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{chat.Text("conversationId")}/feedback");
        Assert.Equal(2, all.GetProperty("data").GetArrayLength());
        (_, JsonElement down, _) = await host.Alpha.GetJsonAsync("/api/v1/feedback?rating=-1&agent=helper");
        Assert.Equal("Wrong.", Assert.Single(down.GetProperty("data").EnumerateArray()).Text("comment"));
        Assert.Equal(["orchestrator.run.completed", "feedback.recorded", "feedback.recorded", "feedback.recorded"], await host.OutboxSubjectsAsync());
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"rating":0}""")]
    [InlineData("""{"score":6}""")]
    public async Task Feedback_OutOfRange_Is400(string body)
    {
        await using TestHost host = await TestHost.StartAsync();

        (int status, JsonElement problem, _) = await host.Alpha.PostJsonAsync("/api/v1/messages/msg_x/feedback", body);

        Assert.Equal(400, status);
        Assert.Equal("validation_failed", problem.Text("code"));
    }
}
