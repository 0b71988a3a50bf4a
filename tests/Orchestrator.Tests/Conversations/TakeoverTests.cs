using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Conversations;

/// <summary>People who take conversations over from agents, and hand them back.</summary>
public sealed class TakeoverTests : IAsyncLifetime
{
    private TestHost _host = null!;

    public async ValueTask InitializeAsync()
    {
        _host = await TestHost.StartAsync();
        await _host.Alpha.CreateAgentAsync();
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Person_TakesOver_Answers_AndHandsBack()
    {
        string id = await ConversationAsync();
        (int taken, JsonElement conversation, _) = await _host.Alpha.PostJsonAsync(Path(id, "takeover"), new { reason = "angry" });
        (int said, JsonElement waits, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { conversationId = id, message = "Is anybody there?", stream = true });
        (int wrote, JsonElement written, _) = await _host.Alpha.PostJsonAsync(Path(id, "messages"), new { content = "Yes: I am Ann." });
        (int back, JsonElement free, _) = await _host.Alpha.PostJsonAsync(Path(id, "handback"), new { });
        (int status, _, _) = await _host.Alpha.PostJsonAsync("/api/v1/chat", new { conversationId = id, message = "Thanks" });

        Assert.Equal((200, 202, 201, 200, 200), (taken, said, wrote, back, status));
        Assert.Equal(("key_alpha", "angry"), (conversation.Text("handledBy", "id"), conversation.Text("handledBy", "reason")));
        Assert.Equal(("handled", false), (waits.Text("status"), waits.TryGetProperty("runId", out _)));
        Assert.Equal(("assistant", "key_alpha"), (written.Text("role"), written.Text("author")));
        Assert.False(free.TryGetProperty("handledBy", out _));
        // The agent sees what was said without it.
        Assert.Equal(["Help.", "Hi", "Hello there", "Is anybody there?", "Yes: I am Ann.", "Thanks"], _host.Model.Requests.Last().Messages.Select(m => m.Text("content")));
        (_, JsonElement messages, _) = await _host.Alpha.GetJsonAsync(Path(id, "messages"));
        Assert.Equal(["user", "assistant", "user", "assistant key_alpha", "user", "assistant"],
            messages.GetProperty("data").EnumerateArray().Select(m => m.TryGetProperty("author", out JsonElement author) ? $"{m.Text("role")} {author.GetString()}" : m.Text("role")));
        string[] told = await _host.OutboxSubjectsAsync();
        Assert.Equal(["orchestrator.conversation.taken_over", "orchestrator.conversation.message", "orchestrator.conversation.message", "orchestrator.conversation.handed_back"],
            told.Where(s => s.StartsWith("orchestrator.conversation", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Takeover_CancelsWhatIsActive_AndNothingBegins()
    {
        await _host.Alpha.CreateAgentAsync("patient", new { onBusy = "queue" });
        string id = await ConversationAsync("patient");
        _host.Model.Default = async (_, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return FakeAnswer.Says("never");
        };
        Task<(int, JsonElement, HttpResponseMessage)> first = _host.Alpha.PostJsonAsync("/api/v1/chat", new { conversationId = id, message = "one" });
        await _host.Model.WaitForRequestsAsync(2);
        Task<(int, JsonElement, HttpResponseMessage)> second = _host.Alpha.PostJsonAsync("/api/v1/chat", new { conversationId = id, message = "two" });
        await Waiting.UntilAsync(async () => (await RunsAsync(id)).Count(r => r.Text("status") == "queued") == 1, "the second one waits");

        await _host.Alpha.PostJsonAsync(Path(id, "takeover"), new { });
        await Task.WhenAll(first, second);
        (int refused, JsonElement problem, _) = await _host.Alpha.PostJsonAsync("/api/v1/responses".Replace("/api", "", StringComparison.Ordinal), new { model = "agent/helper", input = "hi", conversation = id });

        Assert.Equal(["cancelled", "cancelled", "completed"], (await RunsAsync(id)).Select(r => r.Text("status")));
        Assert.Equal(2, _host.Model.Requests.Count);
        Assert.True(refused is 409 or 400, problem.ToString());
    }

    [Fact]
    public async Task Conversation_OfAnotherPersonOrTenantOrAgent_IsNotTaken()
    {
        string id = await ConversationAsync();
        using HttpClient other = _host.Client("alpha-user");
        using HttpClient reader = _host.Client("alpha-reader");

        (int agents, JsonElement problem, _) = await _host.Alpha.PostJsonAsync(Path(id, "messages"), new { content = "x" });
        await other.PostJsonAsync(Path(id, "takeover"), new { });
        (int again, _, _) = await other.PostJsonAsync(Path(id, "takeover"), new { });
        (int twice, JsonElement taken, _) = await _host.Alpha.PostJsonAsync(Path(id, "takeover"), new { });
        (int write, _, _) = await _host.Alpha.PostJsonAsync(Path(id, "messages"), new { content = "x" });
        (int back, _, _) = await _host.Alpha.PostJsonAsync(Path(id, "handback"), new { });
        (int weak, _, _) = await reader.PostJsonAsync(Path(id, "takeover"), new { });
        int[] foreign = [.. await Task.WhenAll(new[] { "takeover", "handback", "messages" }.Select(async p => (await _host.Beta.PostJsonAsync(Path(id, p), new { content = "x" })).Status))];
        (_, JsonElement handled, _) = await _host.Alpha.GetJsonAsync("/api/v1/conversations?handled=true");
        (int forced, _, _) = await _host.Alpha.PostJsonAsync(Path(id, "handback"), new { force = true });
        (_, JsonElement none, _) = await _host.Alpha.GetJsonAsync("/api/v1/conversations?handled=true");

        Assert.Equal((409, "conversation_not_handled"), (agents, problem.Text("code")));
        Assert.Equal((200, 409, "conversation_handled", 409, 409, 403), (again, twice, taken.Text("code"), write, back, weak));
        Assert.Equal([404, 404, 404], foreign);
        Assert.Equal((1, 200, 0), (handled.GetProperty("data").GetArrayLength(), forced, none.GetProperty("data").GetArrayLength()));
    }

    [Fact]
    public async Task Message_RepeatedUnderItsKey_IsThereOnce()
    {
        string id = await ConversationAsync();
        await _host.Alpha.PostJsonAsync(Path(id, "takeover"), new { });

        int[] statuses = [.. await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ => (await _host.Alpha.PostJsonAsync("/api/v1/chat", new { conversationId = id, message = "once" }, ("Idempotency-Key", "k1"))).Status))];

        Assert.All(statuses, s => Assert.Equal(202, s));
        (_, JsonElement messages, _) = await _host.Alpha.GetJsonAsync(Path(id, "messages"));
        Assert.Equal(1, messages.GetProperty("data").EnumerateArray().Count(m => m.Text("content") == "once"));
    }

    private static string Path(string id, string action) => $"/api/v1/conversations/{id}/{action}";

    private async Task<string> ConversationAsync(string agent = "helper") => (await _host.Alpha.PostJsonAsync("/api/v1/chat", new { agent, message = "Hi" })).Body.Text("conversationId");

    private async Task<JsonElement[]> RunsAsync(string id) => [.. (await _host.Alpha.GetJsonAsync($"/api/v1/runs?conversation={id}")).Body.GetProperty("data").EnumerateArray()];
}
