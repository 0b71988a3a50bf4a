using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

public sealed class BusyPolicyTests
{
    private readonly TaskCompletionSource _release = new();

    [Fact]
    public async Task Reject_SecondMessage_Is409()
    {
        await using TestHost host = await StartAsync("reject");
        (string conversation, _) = await BeginAsync(host);

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Two", conversationId = conversation });

        Assert.Equal(409, status);
        Assert.Equal("run_active", body.Text("code"));
        _release.SetResult();
    }

    [Fact]
    public async Task Queue_MoreMessages_RunInOrderAfterTheFirst()
    {
        await using TestHost host = await StartAsync("queue");
        (string conversation, Task first) = await BeginAsync(host);
        var waiting = new List<Task<(int Status, JsonElement Body, HttpResponseMessage)>>();
        for (int i = 2; i <= 4; i++)
        {
            waiting.Add(host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = $"M{i}", conversationId = conversation }));
            await QueuedAsync(host, i - 1);
        }

        _release.SetResult();
        await first;
        var answers = await Task.WhenAll(waiting);

        Assert.All(answers, a => Assert.Equal("completed", a.Body.Text("status")));
        (_, JsonElement messages, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{conversation}/messages");
        Assert.Equal(["M1", "Hello there", "M2", "Hello there", "M3", "Hello there", "M4", "Hello there"], messages.GetProperty("data").EnumerateArray().Select(m => m.Text("content")));
        Assert.Equal(8, host.Model.Requests.Last().Messages.Length);
    }

    [Fact]
    public async Task Queue_Full_Is429()
    {
        await using TestHost host = await StartAsync("queue", new() { ["Runs:MaxQueuedPerConversation"] = "1" });
        (string conversation, _) = await BeginAsync(host);
        Task second = host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Two", conversationId = conversation });
        await QueuedAsync(host, 1);

        (int status, JsonElement body, HttpResponseMessage response) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Three", conversationId = conversation });

        Assert.Equal(429, status);
        Assert.Equal("run_queue_full", body.Text("code"));
        Assert.NotNull(response.Headers.RetryAfter);
        _release.SetResult();
        await second;
    }

    [Fact]
    public async Task Queue_WaitingRunCancelled_NeverStarts()
    {
        await using TestHost host = await StartAsync("queue");
        (string conversation, Task first) = await BeginAsync(host);
        Task<(int, JsonElement Body, HttpResponseMessage)> second = host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Two", conversationId = conversation });
        string id = await QueuedAsync(host, 1);

        await host.Alpha.PostJsonAsync($"/api/v1/runs/{id}/cancel", new { });

        Assert.Equal("cancelled", (await second).Body.Text("status"));
        _release.SetResult();
        await first;
        Assert.Single(host.Model.Requests);
    }

    [Fact]
    public async Task Interrupt_SecondMessage_CancelsTheFirstThenRuns()
    {
        await using TestHost host = await StartAsync("interrupt");
        (string conversation, Task<(int, JsonElement Body, HttpResponseMessage)> first) = await BeginAsync(host);
        host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("Second answer"));

        (int status, JsonElement second, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Two", conversationId = conversation });

        Assert.Equal(200, status);
        Assert.Equal("Second answer", second.Text("message", "content"));
        Assert.Equal("cancelled", (await first).Body.Text("status"));
        Assert.Equal("interrupted", (await first).Body.Text("reason"));
        Assert.True(await host.Model.ClosedEarly.WaitAsync(TestHost.Deadline));
    }

    [Fact]
    public async Task Rollback_SecondMessage_TakesTheFirstOutOfTheConversation()
    {
        await using TestHost host = await StartAsync("rollback");
        (string conversation, Task<(int, JsonElement Body, HttpResponseMessage)> first) = await BeginAsync(host);
        host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("Second answer"));

        (int status, JsonElement second, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Two", conversationId = conversation });
        (_, JsonElement messages, _) = await host.Alpha.GetJsonAsync($"/api/v1/conversations/{conversation}/messages");

        Assert.Equal((200, "Second answer"), (status, second.Text("message", "content")));
        Assert.Equal(("cancelled", "rolled_back"), ((await first).Body.Text("status"), (await first).Body.Text("reason")));
        Assert.Equal(["Two", "Second answer"], messages.GetProperty("data").EnumerateArray().Select(m => m.Text("content")));
        Assert.Equal(["system", "user"], host.Model.Requests.Last().Roles);
    }

    [Fact]
    public async Task Tenant_AtItsLimitOfRuns_Is429WithRetryAfter()
    {
        await using TestHost host = await StartAsync("reject");
        using HttpClient limited = host.Client("alpha-limited");
        _ = limited.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "One" });
        await host.Model.WaitForRequestsAsync(1);

        (int status, JsonElement body, HttpResponseMessage response) = await limited.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Two" });

        Assert.Equal(429, status);
        Assert.Equal("concurrency_limit_exceeded", body.Text("code"));
        Assert.NotNull(response.Headers.RetryAfter);
        _release.SetResult();
        await host.Alpha.WaitForRunAsync();
        // The run's end is on disk a moment before its slot is free.
        await Waiting.UntilAsync(async () => (await limited.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Three" })).Status == 200, "a free slot");
    }

    private async Task<TestHost> StartAsync(string onBusy, Dictionary<string, string?>? settings = null)
    {
        TestHost host = await TestHost.StartAsync(settings: settings);
        await host.Alpha.CreateAgentAsync(more: new { onBusy });
        host.Model.Default = async (_, ct) =>
        {
            await _release.Task.WaitAsync(ct);
            return FakeAnswer.Says("Hello", " there");
        };
        return host;
    }

    private static async Task<(string Conversation, Task<(int, JsonElement Body, HttpResponseMessage)> First)> BeginAsync(TestHost host)
    {
        (_, JsonElement conversation, _) = await host.Alpha.PostJsonAsync("/api/v1/conversations", new { agent = "helper" });
        var first = host.Alpha.PostJsonAsync("/api/v1/chat", new { message = "M1", conversationId = conversation.Text("id") });
        await host.Model.WaitForRequestsAsync(1);
        return (conversation.Text("id"), first);
    }

    private static async Task<string> QueuedAsync(TestHost host, int count)
    {
        string id = "";
        await Waiting.UntilAsync(async () =>
        {
            (_, JsonElement runs, _) = await host.Alpha.GetJsonAsync("/api/v1/runs?status=queued");
            if (runs.GetProperty("data").GetArrayLength() != count) return false;
            id = runs.GetProperty("data")[0].Text("id");
            return true;
        }, $"{count} waiting runs");
        return id;
    }
}
