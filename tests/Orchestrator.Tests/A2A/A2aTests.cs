using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.A2A;

[Trait("Database", "once")]
public sealed class A2aTests(HostFixture fixture) : IClassFixture<HostFixture>
{
    private TestHost Host => fixture.Host;

    [Fact]
    public async Task Card_OfAnAgent_SaysWhereAndHow()
    {
        await Host.Alpha.CreateAgentAsync("carded", new { description = "Helps." });
        (int status, JsonElement card, _) = await Host.Alpha.GetJsonAsync("/a2a/carded/.well-known/agent-card.json");
        Assert.Equal(200, status);
        Assert.Equal($"{Host.Url}/a2a/carded", card.GetProperty("supportedInterfaces")[0].Text("url"));
        Assert.Equal("1.0", card.GetProperty("supportedInterfaces")[0].Text("protocolVersion"));
        Assert.True(card.GetProperty("capabilities").GetProperty("streaming").GetBoolean());
        Assert.Equal(404, (await Host.Beta.GetJsonAsync("/a2a/carded/.well-known/agent-card.json")).Status);
    }

    [Fact]
    public async Task Message_IsATask_AndItsContextGoesOn()
    {
        await Host.Alpha.CreateAgentAsync("talker");
        JsonElement task = (await CallAsync("talker", "SendMessage", Message("m1", "Hi"))).GetProperty("result").GetProperty("task");
        Assert.Equal("TASK_STATE_COMPLETED", task.Text("status", "state"));
        Assert.Equal("Hello there", task.GetProperty("artifacts")[0].GetProperty("parts")[0].Text("text"));

        // The same message again is the same task.
        JsonElement again = (await CallAsync("talker", "SendMessage", Message("m1", "Hi"))).GetProperty("result").GetProperty("task");
        Assert.Equal(task.Text("id"), again.Text("id"));
        await CallAsync("talker", "SendMessage", Message("m2", "And?", task.Text("contextId")));
        Assert.Equal(["system", "user", "assistant", "user"], Host.Model.Requests.Last().Roles);

        JsonElement got = (await CallAsync("talker", "GetTask", new { id = task.Text("id") })).GetProperty("result");
        Assert.Equal(task.GetRawText(), got.GetRawText());
        JsonElement list = (await CallAsync("talker", "ListTasks", new { contextId = task.Text("contextId"), pageSize = 1 })).GetProperty("result");
        Assert.Single(list.GetProperty("tasks").EnumerateArray());
        list = (await CallAsync("talker", "ListTasks", new { contextId = task.Text("contextId"), pageSize = 1, pageToken = list.Text("nextPageToken") })).GetProperty("result");
        Assert.Equal(task.Text("id"), Assert.Single(list.GetProperty("tasks").EnumerateArray()).Text("id"));
        Assert.Equal("", list.Text("nextPageToken"));
        Assert.Equal(-32002, await ErrorAsync("talker", "CancelTask", new { id = task.Text("id") }));
        Assert.Equal(-32004, await ErrorAsync("talker", "SubscribeToTask", new { id = task.Text("id") }));

        // Another agent's, and another tenant's.
        await Host.Alpha.CreateAgentAsync("other");
        Assert.Equal(-32001, await ErrorAsync("other", "GetTask", new { id = task.Text("id") }));
        Assert.Equal(404, (await Host.Beta.PostJsonAsync("/a2a/talker", Rpc("GetTask", new { id = task.Text("id") }))).Status);
        await Host.Beta.CreateAgentAsync("talker");
        (_, JsonElement foreign, _) = await Host.Beta.PostJsonAsync("/a2a/talker", Rpc("GetTask", new { id = task.Text("id") }));
        Assert.Equal(-32001, foreign.GetProperty("error").GetProperty("code").GetInt32());
    }

    [Theory]
    [InlineData("SendStreamingMessage", false)]
    [InlineData("message/stream", true)]
    public async Task Stream_TellsTheTaskItsAnswerAndItsEnd(string method, bool old)
    {
        string slug = old ? "old-streamer" : "streamer";
        await Host.Alpha.CreateAgentAsync(slug, new { tools = new[] { new { name = "calculator" } } });
        Host.Model.Script(new FakeAnswer { Pieces = ["Let me see."], Calls = [("c", "calculator", """{"expression":"1"}""")] }, FakeAnswer.Says("It ", "is ", "1."));

        await using SseReader reader = await SseReader.OpenAsync(Host.Alpha, HttpMethod.Post, $"/a2a/{slug}", Rpc(method, Message("s1", "What?")));
        JsonElement[] results = [.. (await reader.AllAsync()).Select(e => e.Json.GetProperty("result"))];

        JsonElement Inner(JsonElement result, string name) => old ? result : result.GetProperty(name);
        Assert.NotEmpty(Inner(results[0], "task").Text("id"));
        JsonElement[] pieces = [.. results[1..^1].Select(r => Inner(r, "artifactUpdate"))];
        string text = "";
        foreach (JsonElement piece in pieces) text = (piece.GetProperty("append").GetBoolean() ? text : "") + piece.GetProperty("artifact").GetProperty("parts")[0].Text("text");
        Assert.Equal("It is 1.", text);
        Assert.True(pieces[^1].GetProperty("lastChunk").GetBoolean());
        Assert.Equal(old ? "completed" : "TASK_STATE_COMPLETED", Inner(results[^1], "statusUpdate").Text("status", "state"));
        if (old) Assert.True(results[^1].GetProperty("final").GetBoolean());
    }

    [Fact]
    public async Task Task_Running_IsFollowedAndCancelled()
    {
        await Host.Alpha.CreateAgentAsync("endless");
        Host.Model.Default = async (_, token) =>
        {
            await Task.Delay(Timeout.Infinite, token);
            return FakeAnswer.Says("never");
        };
        try
        {
            JsonElement task = (await CallAsync("endless", "message/send", new { message = Parts("e1", "Go"), configuration = new { blocking = false } })).GetProperty("result");
            Assert.Equal(("task", "working"), (task.Text("kind"), task.Text("status", "state")));
            await using SseReader reader = await SseReader.OpenAsync(Host.Alpha, HttpMethod.Post, "/a2a/endless", Rpc("tasks/resubscribe", new { id = task.Text("id") }));
            JsonElement cancelled = (await CallAsync("endless", "tasks/cancel", new { id = task.Text("id") })).GetProperty("result");
            Assert.Equal("canceled", cancelled.Text("status", "state"));
            Assert.Equal("canceled", (await reader.AllAsync())[^1].Json.GetProperty("result").Text("status", "state"));
        }
        finally
        {
            Host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("Hello", " there"));
        }
    }

    [Theory]
    [InlineData("{", -32700)]
    [InlineData("[]", -32600)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"Fly"}""", -32601)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":[]}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"x","parts":[{"raw":"AA=="}]}}}""", -32005)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"x","contextId":"nope","parts":[{"text":"x"}]}}}""", -32602)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"run_x"}}""", -32001)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig"}""", -32003)]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard"}""", -32007)]
    public async Task Request_ThatCannotBeTaken_IsAnErrorOfTheProtocol(string body, int code)
    {
        if ((await Host.Alpha.GetJsonAsync("/api/v1/agents/strict")).Status == 404) await Host.Alpha.CreateAgentAsync("strict");
        (int status, JsonElement answer, _) = await Host.Alpha.SendAsync(HttpMethod.Post, "/a2a/strict", body);
        Assert.Equal(200, status);
        Assert.Equal(code, answer.GetProperty("error").GetProperty("code").GetInt32());
        (_, answer, _) = await Host.Alpha.SendAsync(HttpMethod.Post, "/a2a/strict", """{"jsonrpc":"2.0","id":1,"method":"GetTask"}""", ("A2A-Version", "9.9"));
        Assert.Equal(-32009, answer.GetProperty("error").GetProperty("code").GetInt32());
    }

    private async Task<JsonElement> CallAsync(string slug, string method, object parameters)
    {
        (int status, JsonElement body, _) = await Host.Alpha.PostJsonAsync($"/a2a/{slug}", Rpc(method, parameters));
        Assert.True(status == 200, body.GetRawText());
        return body;
    }

    private async Task<int> ErrorAsync(string slug, string method, object parameters) => (await CallAsync(slug, method, parameters)).GetProperty("error").GetProperty("code").GetInt32();

    private static object Rpc(string method, object parameters) => new { jsonrpc = "2.0", id = "r1", method, @params = parameters };

    private static object Message(string id, string text, string? contextId = null) => new { message = Parts(id, text, contextId) };

    private static Dictionary<string, object> Parts(string id, string text, string? contextId = null)
    {
        var message = new Dictionary<string, object> { ["messageId"] = id, ["role"] = "ROLE_USER", ["parts"] = new[] { new { text } } };
        if (contextId is not null) message["contextId"] = contextId;
        return message;
    }
}
