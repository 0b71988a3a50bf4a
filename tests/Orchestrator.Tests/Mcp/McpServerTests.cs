using System.Text.Json;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Mcp;

/// <summary>The platform as an MCP server, with the official client.</summary>
[Trait("Database", "once")]
public sealed class McpServerTests(HostFixture fixture) : IClassFixture<HostFixture>
{
    private const string Workflow = """{"apiVersion":"maap/v1","kind":"Workflow","name":"double","description":"Doubles.","inputs":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]},"steps":[{"id":"t","type":"transform","output":{"twice":"{{ inputs.n | times: 2 }}"}}]}""";

    private TestHost Host => fixture.Host;

    [Fact]
    public async Task Tools_OfTheTenant_AreListedAndRun()
    {
        await Host.Alpha.CreateAgentAsync("helper", new { description = "Helps." });
        Assert.Equal(201, (await Host.Alpha.PostJsonAsync("/api/v1/workflows", Workflow)).Status);
        await using McpClient client = await ConnectAsync("alpha");

        IList<McpClientTool> tools = await client.ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("Asks the agent 'helper' and returns its answer. Helps.", tools.Single(t => t.Name == "agent__helper").Description);
        Assert.Contains("workflow__double", tools.Select(t => t.Name));

        CallToolResult answer = await CallAsync(client, "agent__helper", new { message = "Hi" });
        Assert.Equal((false, "Hello there"), (answer.IsError ?? false, Text(answer)));
        CallToolResult doubled = await CallAsync(client, "workflow__double", new { n = 4 });
        Assert.True(doubled.IsError is not true, Text(doubled));
        Assert.Contains("8", doubled.StructuredContent!.Value.GetProperty("twice").ToString());
        CallToolResult wrong = await CallAsync(client, "workflow__double", new { n = "x" });
        Assert.True(wrong.IsError);
        Assert.Contains("fit the schema", Text(wrong));
        await Assert.ThrowsAsync<McpProtocolException>(() => CallAsync(client, "agent__nobody", new { message = "Hi" }));
        (_, JsonElement runs, _) = await Host.Alpha.GetJsonAsync("/api/v1/runs?agent=helper");
        Assert.Equal("mcp", runs.GetProperty("data")[0].Text("surface"));

        await using McpClient stranger = await ConnectAsync("beta");
        Assert.DoesNotContain("agent__helper", (await stranger.ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken)).Select(t => t.Name));
        await Assert.ThrowsAsync<McpProtocolException>(() => CallAsync(stranger, "agent__helper", new { message = "Hi" }));
    }

    [Fact]
    public async Task Session_OfAnotherTenant_IsRefused()
    {
        await using McpClient client = await ConnectAsync("alpha");
        string session = client.SessionId ?? throw new InvalidOperationException("There is no session.");
        const string Ping = """{"jsonrpc":"2.0","id":1,"method":"ping"}""";
        (string, string)[] headers = [("Mcp-Session-Id", session), ("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", "2025-11-25")];

        using HttpResponseMessage own = await PostAsync(Host.Alpha, Ping, headers);
        Assert.Equal(200, (int)own.StatusCode);
        using HttpResponseMessage foreign = await PostAsync(Host.Beta, Ping, headers);
        Assert.Equal(403, (int)foreign.StatusCode);
        using HttpClient nobody = new() { BaseAddress = Host.Alpha.BaseAddress };
        using HttpResponseMessage anonymous = await PostAsync(nobody, Ping, headers);
        Assert.Equal(401, (int)anonymous.StatusCode);
        // As another replica would get it.
        using HttpResponseMessage elsewhere = await PostAsync(Host.Alpha, Ping, [("Mcp-Session-Id", "began-elsewhere"), .. headers[1..]]);
        Assert.Equal(200, (int)elsewhere.StatusCode);
    }

    [Fact]
    public async Task Call_WithProgress_TellsWhatHappens_AndCancellationCancelsTheRun()
    {
        await Host.Alpha.CreateAgentAsync("slow", new { tools = new[] { new { name = "calculator" } } });
        var reached = new TaskCompletionSource();
        Host.Model.Script(FakeAnswer.Calling("calculator", """{"expression":"1+1"}"""));
        Host.Model.Default = async (_, token) =>
        {
            reached.TrySetResult();
            await Task.Delay(Timeout.Infinite, token);
            return FakeAnswer.Says("never");
        };
        try
        {
            await using McpClient client = await ConnectAsync("alpha");
            var told = new List<string>();
            await using IAsyncDisposable listening = client.RegisterNotificationHandler(NotificationMethods.ProgressNotification, (notification, _) =>
            {
                lock (told) told.Add(notification.Params!["message"]!.GetValue<string>());
                return default;
            });
            // The library does not tell the server when a caller's token fires: the messages are those of a client that does.
            var id = new RequestId("call-1");
            Task<CallToolResult> call = client.SendRequestAsync<CallToolRequestParams, CallToolResult>(RequestMethods.ToolsCall, new CallToolRequestParams
            {
                Name = "agent__slow",
                Arguments = new Dictionary<string, JsonElement> { ["message"] = JsonSerializer.SerializeToElement("Go") },
                Meta = new System.Text.Json.Nodes.JsonObject { ["progressToken"] = "p1" },
            }, requestId: id).AsTask();
            await reached.Task.WaitAsync(TestHost.Deadline, TestContext.Current.CancellationToken);
            await Waiting.UntilAsync(() => { lock (told) return Task.FromResult(told.Contains("Calling calculator")); }, "progress");

            await client.SendNotificationAsync(NotificationMethods.CancelledNotification, new CancelledNotificationParams { RequestId = id });

            _ = call.ContinueWith(static t => t.Exception, TaskScheduler.Default);
            (_, JsonElement runs, _) = await Host.Alpha.GetJsonAsync("/api/v1/runs?agent=slow");
            Assert.Equal("cancelled", (await Host.Alpha.WaitForRunAsync(runs.GetProperty("data")[0].Text("id"))).Text("status"));
        }
        finally
        {
            Host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("Hello", " there"));
        }
    }

    private Task<McpClient> ConnectAsync(string key) => McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions
    {
        Endpoint = new Uri(Host.Alpha.BaseAddress!, "/mcp"),
        TransportMode = HttpTransportMode.StreamableHttp,
        AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = $"Bearer {key}" },
    }), new McpClientOptions { ProtocolVersion = "2025-11-25" });

    private static async Task<CallToolResult> CallAsync(McpClient client, string tool, object arguments) =>
        await client.CallToolAsync(tool, JsonSerializer.SerializeToElement(arguments).EnumerateObject().ToDictionary(p => p.Name, object? (p) => p.Value), cancellationToken: TestContext.Current.CancellationToken);

    private static string Text(CallToolResult result) => Assert.IsType<TextContentBlock>(Assert.Single(result.Content)).Text;

    private static Task<HttpResponseMessage> PostAsync(HttpClient client, string body, (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/mcp") { Content = new StringContent(body, null, "application/json") };
        foreach ((string name, string value) in headers) request.Headers.TryAddWithoutValidation(name, value);
        return client.SendAsync(request);
    }
}
