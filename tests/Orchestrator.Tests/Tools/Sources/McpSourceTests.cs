using System.ComponentModel;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Tools.Sources;

/// <summary>An MCP server of the official library, with a key.</summary>
internal sealed class FakeMcp : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeMcp(WebApplication app) => _app = app;

    public string Url => $"{_app.Urls.First()}/mcp";

    public McpServerPrimitiveCollection<McpServerTool> Tools { get; private init; } = null!;

    public static async Task<FakeMcp> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        McpServerPrimitiveCollection<McpServerTool> tools =
        [
            McpServerTool.Create(([Description("Text.")] string text) => $"You said {text}", new() { Name = "echo", Description = "Echoes.", ReadOnly = true }),
            McpServerTool.Create(() => { throw new McpException("No such thing."); }, new() { Name = "fail.always", Description = "Fails." }),
            McpServerTool.Create(() => new Sum(3), new() { Name = "sum", UseStructuredContent = true, ReadOnly = true }),
            McpServerTool.Create((string id) => $"deleted {id}", new() { Name = "delete", Destructive = true, Idempotent = true }),
        ];
        builder.Services.AddMcpServer(options => options.ToolCollection = tools).WithHttpTransport(o => o.SessionMode = ModelContextProtocol.AspNetCore.HttpServerSessionMode.Stateful)
            .WithResources([McpServerResource.Create(() => "Opening hours: 9 to 5", new() { UriTemplate = "shop://hours", Name = "hours", MimeType = "text/plain" })])
            .WithPrompts([McpServerPrompt.Create((string name) => $"Greet {name}", new() { Name = "greet", Description = "Greets." })]);
        WebApplication app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        app.Use((http, next) =>
        {
            if (http.Request.Headers["X-Key"] == "k") return next(http);
            http.Response.StatusCode = 401;
            return Task.CompletedTask;
        });
        app.MapMcp("/mcp");
        await app.StartAsync();
        return new FakeMcp(app) { Tools = tools };
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    internal sealed record Sum(int Total);
}

[Trait("Database", "once")]
public sealed class McpSourceTests(SourceFixture fixture) : IClassFixture<SourceFixture>
{
    private HttpClient Alpha => fixture.Host.Alpha;

    [Fact]
    public async Task Server_ToolsResourcesAndPrompts_AreThere()
    {
        await using FakeMcp server = await FakeMcp.StartAsync();
        JsonElement source = await CreateAsync("shop", server);

        Assert.Equal(["shop.delete", "shop.echo", "shop.fail_always", "shop.list_resources", "shop.read_resource", "shop.sum"], source.GetProperty("tools").EnumerateArray().Select(t => t.GetString()).Order(StringComparer.Ordinal));
        Assert.DoesNotContain("\"k\"", source.GetRawText());
        JsonElement delete = (await Alpha.GetJsonAsync("/api/v1/tools/shop.delete")).Body;
        Assert.True(delete.GetProperty("destructive").GetBoolean());
        Assert.Equal("idempotent", delete.Text("effect"));
        Assert.Equal("You said hi", (await CallAsync("shop.echo", new { text = "hi" })).Text("text"));
        JsonElement failed = await CallAsync("shop.fail_always", new { });
        Assert.True(failed.GetProperty("isError").GetBoolean());
        Assert.Contains("No such thing.", failed.Text("text"));
        Assert.Contains("3", (await CallAsync("shop.sum", new { })).Text("text"));
        Assert.Contains("shop://hours", (await CallAsync("shop.list_resources", new { })).Text("text"));
        Assert.Equal("Opening hours: 9 to 5", (await CallAsync("shop.read_resource", new { uri = "shop://hours" })).Text("text"));
        Assert.Equal("shop://hours", (await Alpha.GetJsonAsync("/api/v1/tool-sources/shop/resources")).Body.GetProperty("data")[0].Text("uri"));
        Assert.Equal("Opening hours: 9 to 5", (await Alpha.GetJsonAsync("/api/v1/tool-sources/shop/resources/content?uri=shop://hours")).Body.Text("text"));
        Assert.Equal("greet", (await Alpha.GetJsonAsync("/api/v1/tool-sources/shop/prompts")).Body.GetProperty("data")[0].Text("name"));
        (_, JsonElement prompt, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources/shop/prompts/greet", new { arguments = new { name = "Ada" } });
        Assert.Equal("Greet Ada", prompt.GetProperty("data")[0].Text("text"));
        Assert.Equal(404, (await fixture.Host.Beta.GetJsonAsync("/api/v1/tool-sources/shop/prompts")).Status);

        await Alpha.CreateAgentAsync("clerk", new { tools = new[] { new { name = "shop.echo" } } });
        fixture.Host.Model.Script(FakeAnswer.Calling("shop__echo", """{"text":"42"}"""), FakeAnswer.Says("Ok."));
        await Alpha.PostJsonAsync("/api/v1/chat", new { agent = "clerk", message = "Echo" });
        Assert.Equal("You said 42", fixture.Host.Model.Requests.Last().LastContent);
    }

    [Fact]
    public async Task Server_SaysThatItsToolsChanged_TheyAreReadAgain()
    {
        await using FakeMcp server = await FakeMcp.StartAsync();
        await CreateAsync("changing", server);

        server.Tools.Add(McpServerTool.Create(() => "new", new() { Name = "brand-new" }));

        await Waiting.UntilAsync(async () => (await Alpha.GetJsonAsync("/api/v1/tools/changing.brand-new")).Status == 200, "the new tool");
    }

    [Fact]
    public async Task Server_Gone_CallSaysSo()
    {
        FakeMcp server = await FakeMcp.StartAsync();
        await CreateAsync("restarting", server);
        await CallAsync("restarting.echo", new { text = "1" });
        await server.DisposeAsync();
        JsonElement away = await CallAsync("restarting.echo", new { text = "2" });
        Assert.True(away.GetProperty("isError").GetBoolean());
        Assert.Contains("could not be reached", away.Text("text"));
    }

    [Fact]
    public async Task Server_WithoutTheKey_IsRefused()
    {
        await using FakeMcp server = await FakeMcp.StartAsync();
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources", new { slug = "nokey", kind = "mcp", mcp = new { url = server.Url } });
        Assert.Equal((422, "tool_source_unreadable"), (status, body.Text("code")));
        Assert.Contains("401", body.Text("detail"));
    }

    private async Task<JsonElement> CreateAsync(string slug, FakeMcp server)
    {
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources", new { slug, kind = "mcp", mcp = new { url = server.Url }, auth = new { headers = new Dictionary<string, string> { ["X-Key"] = "k" } } });
        Assert.True(status == 201, body.GetRawText());
        return body;
    }

    private async Task<JsonElement> CallAsync(string tool, object arguments)
    {
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync($"/api/v1/tools/{tool}/call", new { arguments });
        Assert.True(status == 200, body.GetRawText());
        return body;
    }
}
