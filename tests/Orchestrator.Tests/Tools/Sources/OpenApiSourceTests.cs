using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Tools.Sources;

/// <summary>A host whose tools may reach this machine, and an API on it.</summary>
public sealed class SourceFixture : IAsyncLifetime
{
    internal TestHost Host { get; private set; } = null!;

    internal FakeApi Api { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Api = await FakeApi.StartAsync();
        Host = await TestHost.StartAsync(settings: new() { ["Tools:Http:AllowPrivateNetworks"] = "true" });
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await Api.DisposeAsync();
    }
}

[Trait("Database", "once")]
public sealed class OpenApiSourceTests(SourceFixture fixture) : IClassFixture<SourceFixture>
{
    private HttpClient Alpha => fixture.Host.Alpha;
    private FakeApi Api => fixture.Api;

    [Fact]
    public async Task Source_Created_ItsOperationsAreToolsOfTheTenantAlone()
    {
        JsonElement source = await CreateAsync("plain");

        Assert.Equal(["plain.getOrder", "plain.replaceOrder", "plain.deleteOrder", "plain.create_order", "plain.export"], source.GetProperty("tools").EnumerateArray().Select(t => t.GetString()));
        Assert.Contains("multipart/form-data", Assert.Single(source.GetProperty("skipped").EnumerateArray()).GetString());
        (_, JsonElement get, _) = await Alpha.GetJsonAsync("/api/v1/tools/plain.getOrder");
        Assert.Equal("plain__getOrder", get.Text("wireName"));
        Assert.Equal("none", get.Text("effect"));
        Assert.Equal(["id", "fields", "X-Trace"], get.GetProperty("parameters").GetProperty("properties").EnumerateObject().Select(p => p.Name));
        Assert.Equal(["id"], get.GetProperty("parameters").GetProperty("required").EnumerateArray().Select(r => r.GetString()));
        // The schema holds itself and stands alone.
        Assert.Contains("#/$defs/Order", get.GetProperty("result").GetProperty("$defs").GetProperty("Order").GetRawText());
        Assert.Equal("idempotent", (await Alpha.GetJsonAsync("/api/v1/tools/plain.replaceOrder")).Body.Text("effect"));
        JsonElement delete = (await Alpha.GetJsonAsync("/api/v1/tools/plain.deleteOrder")).Body;
        Assert.Equal("idempotent", delete.Text("effect"));
        Assert.True(delete.GetProperty("destructive").GetBoolean());
        Assert.Equal("unsafe", (await Alpha.GetJsonAsync("/api/v1/tools/plain.create_order")).Body.Text("effect"));
        Assert.Contains("plain.getOrder", (await Alpha.GetJsonAsync("/api/v1/tools?limit=200")).Body.GetProperty("data").EnumerateArray().Select(t => t.Text("name")));

        Assert.Equal(404, (await fixture.Host.Beta.GetJsonAsync("/api/v1/tools/plain.getOrder")).Status);
        Assert.Equal(404, (await fixture.Host.Beta.GetJsonAsync("/api/v1/tool-sources/plain")).Status);
        Assert.Equal(404, (await fixture.Host.Beta.SendAsync(HttpMethod.Delete, "/api/v1/tool-sources/plain")).Status);
        Assert.Empty((await fixture.Host.Beta.GetJsonAsync("/api/v1/tool-sources")).Body.GetProperty("data").EnumerateArray());
        (int status, JsonElement body, _) = await fixture.Host.Beta.PostJsonAsync("/api/v1/agents", new { slug = "thief", name = "T", tools = new[] { new { name = "plain.getOrder" } } });
        Assert.Equal((400, "validation_failed"), (status, body.Text("code")));
    }

    [Fact]
    public async Task Call_ArgumentsGoWhereTheyBelong_AndCredentialsAreNeverShown()
    {
        JsonElement source = await CreateAsync("authed", auth: new { headers = new Dictionary<string, string> { ["X-Api-Key"] = "very-secret" } });
        Assert.DoesNotContain("very-secret", source.GetRawText());
        Assert.Equal("X-Api-Key", Assert.Single(source.GetProperty("auth").GetProperty("headers").EnumerateArray()).GetString());

        JsonElement result = await CallAsync("authed.getOrder", new { id = "a/b ?", fields = new[] { "x", "y&z" } });
        Assert.True(result.GetProperty("isError").GetBoolean() is false, result.GetRawText());
        SeenCall seen = Api.Calls.Last(c => c.Method == "GET");
        Assert.Equal("?fields=x&fields=y%26z", seen.Query);
        Assert.Contains("a%2Fb", seen.Path, StringComparison.OrdinalIgnoreCase);
        Assert.Equal("very-secret", seen.Headers["X-Api-Key"]);

        Assert.Equal(400, (await Alpha.PostJsonAsync("/api/v1/tools/authed.create_order/call", new { arguments = new { body = new { item = "x", count = 0 } } })).Status);
        await CallAsync("authed.create_order", new { body = new { item = "x", count = 2 } });
        Assert.Equal("""{"item":"x","count":2}""", Api.Calls.Last(c => c.Method == "POST").Body);
        Assert.Equal("application/json", Api.Calls.Last(c => c.Method == "POST").Headers["Content-Type"]);

        await using OrchestratorDb db = fixture.Host.Services.GetRequiredService<ServiceDb<OrchestratorDb>>().Open("ten_alpha");
        var stored = await db.ToolSources.SingleAsync(s => s.Slug == "authed", TestContext.Current.CancellationToken);
        Assert.DoesNotContain("very-secret", stored.Definition);
        Assert.Equal(-1, stored.Secrets.AsSpan().IndexOf("very-secret"u8));

        // A replacement without credentials keeps them, except when it would send them elsewhere.
        (int status, JsonElement body, HttpResponseMessage response) = await Alpha.SendAsync(HttpMethod.Put, "/api/v1/tool-sources/authed", new { name = "Shop", openApi = new { serverUrl = Api.Url } });
        Assert.True(status == 200, body.GetRawText());
        await CallAsync("authed.getOrder", new { id = "1" });
        Assert.Equal("very-secret", Api.Calls.Last().Headers["X-Api-Key"]);
        (status, body, _) = await Alpha.SendAsync(HttpMethod.Put, "/api/v1/tool-sources/authed", new { openApi = new { document = FakeApi.Yaml, serverUrl = "http://elsewhere.example" } });
        Assert.Equal((422, "tool_source_unreadable"), (status, body.Text("code")));
        (status, _, _) = await Alpha.SendAsync(HttpMethod.Put, "/api/v1/tool-sources/authed", new { openApi = new { serverUrl = Api.Url } }, ("If-Match", "\"1\""));
        Assert.Equal(412, status);
        Assert.Equal("\"2\"", response.Headers.ETag!.Tag);
    }

    [Fact]
    public async Task Call_OfAnAgent_ResultAndCostAreInTheRun()
    {
        await CreateAsync("priced", costUsd: 0.25m);
        await Alpha.CreateAgentAsync("buyer", new { tools = new[] { new { name = "priced.getOrder" } } });
        fixture.Host.Model.Script(FakeAnswer.Calling("priced__getOrder", """{"id":"77"}"""), FakeAnswer.Says("Shipped."));

        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/chat", new { agent = "buyer", message = "Where is 77?" });

        Assert.True(status == 200, body.GetRawText());
        Assert.Equal("""{"id":"77","state":"shipped","parent":null}""", fixture.Host.Model.Requests.Last().LastContent);
        Assert.Equal(0.252m, body.GetProperty("usage").GetProperty("costUsd").GetDecimal());
        Assert.Contains("priced__getOrder", fixture.Host.Model.Requests.Last().Body.GetProperty("tools").GetRawText());

        // A source that is gone takes its tools with it, and the agent goes on.
        Assert.Equal(204, (await Alpha.SendAsync(HttpMethod.Delete, "/api/v1/tool-sources/priced")).Status);
        await Alpha.PostJsonAsync("/api/v1/chat", new { agent = "buyer", message = "And now?" });
        Assert.False(fixture.Host.Model.Requests.Last().Body.TryGetProperty("tools", out _));
    }

    [Fact]
    public async Task Call_OfAWorkflow_OutputIsTheResult()
    {
        await CreateAsync("flow");
        const string Source = "apiVersion: maap/v1\nkind: Workflow\nname: look-up\nsteps:\n  - id: order\n    type: tool\n    tool: flow.getOrder\n    arguments: {id: '9'}\noutput: '{{ steps.order.output.state }}'\n";
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/workflows", JsonSerializer.Serialize(WorkflowOf(Source)));
        Assert.True(status == 201, body.GetRawText());
        (_, JsonElement run, _) = await Alpha.PostJsonAsync("/api/v1/runs?wait=20", new { workflow = "look-up" });
        Assert.True(run.Text("status") == "completed", run.GetRawText());
        Assert.Equal("shipped", run.Text("output"));
    }

    [Theory]
    [InlineData("getOrder", """{"id":"r"}""", "/orders/r", 3, false)]
    [InlineData("create_order", """{"body":{"item":"r1"}}""", "/orders", 1, true)]
    public async Task Failure_IsRepeatedOnlyWhereThatIsSafe(string operation, string arguments, string path, int calls, bool fails)
    {
        string slug = $"retry-{calls}";
        await CreateAsync(slug);
        int before = Api.To(path).Count();
        Api.Script.Enqueue((503, "busy"));
        if (!fails) Api.Script.Enqueue((503, "busy"));

        JsonElement result = await CallAsync($"{slug}.{operation}", JsonSerializer.Deserialize<JsonElement>(arguments));

        Assert.Equal(fails, result.GetProperty("isError").GetBoolean());
        Assert.Equal(calls, Api.To(path).Count() - before);
        if (fails) Assert.Contains("HTTP 503", result.Text("text"));
    }

    [Fact]
    public async Task Failure_WithAnIdempotencyHeader_IsRepeatedWithTheSameKey()
    {
        await CreateAsync("keyed", idempotencyHeader: "Idempotency-Key");
        Assert.Equal("idempotent", (await Alpha.GetJsonAsync("/api/v1/tools/keyed.create_order")).Body.Text("effect"));
        Api.Script.Enqueue((500, "oops"));
        await CallAsync("keyed.create_order", new { body = new { item = "keyed" } });
        string[] keys = [.. Api.To("/orders").Where(c => c.Body.Contains("keyed")).Select(c => c.Headers["Idempotency-Key"])];
        Assert.Equal(2, keys.Length);
        Assert.Single(keys.Distinct());
    }

    [Fact]
    public async Task Result_NotOfTheDeclaredSchema_IsAnErrorWithACode()
    {
        await CreateAsync("wrong");
        Api.Script.Enqueue((200, """{"id":"1","state":"lost"}"""));
        JsonElement result = await CallAsync("wrong.getOrder", new { id = "1" });
        Assert.True(result.GetProperty("isError").GetBoolean());
        Assert.Equal("tool_result_invalid", result.Text("code"));
    }

    [Fact]
    public async Task Result_Large_IsKeptAndReadOnInPieces()
    {
        await CreateAsync("large");
        await Alpha.CreateAgentAsync("reader", new { tools = new[] { new { name = "large.export" } } });
        string? id = null;
        int offset = 0;
        fixture.Host.Model.Script(FakeAnswer.Calling("large__export", "{}"));
        fixture.Host.Model.Default = (request, _) =>
        {
            string last = request.LastContent;
            if (!last.Contains("Read on with read_tool_result", StringComparison.Ordinal)) return Task.FromResult(FakeAnswer.Says("Done."));
            JsonElement next = JsonDocument.Parse(last[last.LastIndexOf('{')..^1]).RootElement;
            (id, offset) = (next.Text("id"), next.GetProperty("offset").GetInt32());
            return Task.FromResult(FakeAnswer.Calling("read_tool_result", next.GetRawText(), "call_2"));
        };
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/chat", new { agent = "reader", message = "Export" });
        fixture.Host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("Hello", " there"));

        Assert.True(status == 200, body.GetRawText());
        Assert.NotNull(id);
        SeenRequest last = fixture.Host.Model.Requests.Last();
        string first = last.Messages.First(m => m.Text("role") == "tool").Text("content");
        Assert.Equal(new string('ü', 50_000), first[..first.IndexOf("\n[cut: ", StringComparison.Ordinal)] + last.LastContent);
        (_, JsonElement page, _) = await Alpha.GetJsonAsync($"/api/v1/tool-results/{id}?offset=99999&limit=100");
        Assert.Equal((100_000, "ü"), (page.GetProperty("bytes").GetInt32(), page.Text("text")));
        Assert.Equal(offset, System.Text.Encoding.UTF8.GetByteCount(first[..first.IndexOf("\n[cut: ", StringComparison.Ordinal)]));
        Assert.Equal(404, (await fixture.Host.Beta.GetJsonAsync($"/api/v1/tool-results/{id}")).Status);
    }

    [Fact]
    public async Task Failures_Many_OpenTheBreakerOfThatSourceAlone()
    {
        await CreateAsync("broken", limits: new { maxAttempts = 1 });
        await CreateAsync("fine");
        for (int i = 0; i < 8; i++)
        {
            Api.Script.Enqueue((500, "down"));
            Assert.Contains("HTTP 500", (await CallAsync("broken.getOrder", new { id = "b" })).Text("text"));
        }
        int before = Api.Calls.Count;
        Assert.Equal("tool_source_unavailable", (await CallAsync("broken.getOrder", new { id = "b" })).Text("code"));
        Assert.Equal(before, Api.Calls.Count);
        Assert.False((await CallAsync("fine.getOrder", new { id = "b" })).GetProperty("isError").GetBoolean());
    }

    [Fact]
    public async Task OAuth_TokenIsFetchedOnceAndSent()
    {
        await CreateAsync("oauth", auth: new { oauth = new { tokenUrl = $"{Api.Url}/token", clientId = "me", clientSecret = "s3cret", scope = "orders" } });
        await CallAsync("oauth.getOrder", new { id = "o1" });
        await CallAsync("oauth.getOrder", new { id = "o2" });
        SeenCall token = Assert.Single(Api.To("/token"));
        Assert.Equal("grant_type=client_credentials&scope=orders", token.Body);
        Assert.Equal($"Basic {Convert.ToBase64String("me:s3cret"u8)}", token.Headers["Authorization"]);
        Assert.Equal("Bearer token-1", Assert.Single(Api.To("/orders/o2")).Headers["Authorization"]);
    }

    [Fact]
    public async Task Document_FromAUrl_IsReadAgainByARefresh()
    {
        Api.Document = """{"openapi":"3.1.0","info":{"title":"T","version":"1"},"servers":[{"url":"/v2"}],"paths":{"/a":{"get":{"operationId":"a","responses":{"200":{"description":"ok"}}}}}}""";
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources", new { slug = "remote", kind = "openapi", openApi = new { documentUrl = $"{Api.Url}/openapi.json" } });
        Assert.True(status == 201, body.GetRawText());
        await CallAsync("remote.a", new { });
        Assert.NotEmpty(Api.To("/v2/a"));
        Api.Document = Api.Document.Replace("\"a\"", "\"b\"", StringComparison.Ordinal);
        (_, body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources/remote/refresh", new { });
        Assert.Equal("remote.b", Assert.Single(body.GetProperty("tools").EnumerateArray()).GetString());
        Api.Document = "nothing of the kind";
        (_, body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources/remote/refresh", new { });
        Assert.Equal("remote.b", Assert.Single(body.GetProperty("tools").EnumerateArray()).GetString());
        Assert.NotEmpty(body.Text("problem"));
    }

    [Fact]
    public async Task Create_Twice_SameKeySameAnswer_OtherwiseConflict()
    {
        object source = Api.Source("twice");
        Assert.Equal(201, (await Alpha.PostJsonAsync("/api/v1/tool-sources", source, ("Idempotency-Key", "twice-1"))).Status);
        Assert.Equal(201, (await Alpha.PostJsonAsync("/api/v1/tool-sources", source, ("Idempotency-Key", "twice-1"))).Status);
        Assert.Equal(409, (await Alpha.PostJsonAsync("/api/v1/tool-sources", source)).Status);
        (int Status, JsonElement, HttpResponseMessage)[] race = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Alpha.PostJsonAsync("/api/v1/tool-sources", Api.Source("race"))));
        Assert.Equal([201, 409, 409, 409], race.Select(r => r.Status).Order());
    }

    [Theory]
    [InlineData("""{"slug":"x","kind":"openapi","openApi":{}}""", 400, "openApi.document")]
    [InlineData("""{"slug":"X!","kind":"soap"}""", 400, "kind")]
    [InlineData("""{"slug":"agent","kind":"mcp","mcp":{"url":"ftp://x"}}""", 400, "mcp.url")]
    [InlineData("""{"slug":"x","kind":"openapi","openApi":{"document":"a: [1"}}""", 422, "YAML")]
    [InlineData("""{"slug":"x","kind":"openapi","openApi":{"document":"a: &a [1]\nb: *a"}}""", 422, "Anchors")]
    [InlineData("""{"slug":"x","kind":"openapi","openApi":{"document":{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{}}}}""", 422, "serverUrl")]
    [InlineData("""{"slug":"x","kind":"openapi","openApi":{"document":{"openapi":"3.0.0","info":{"title":"t","version":"1"},"servers":[{"url":"https://a.example"}],"paths":{"/a":{"get":{"responses":{"200":{"description":"x"}},"parameters":[{"name":"p","in":"query","schema":{"$ref":"https://evil.example/s.json"}}]}}}}}}""", 422, "")]
    [InlineData("""{"slug":"x","kind":"mcp","mcp":{"url":"http://127.0.0.1:1/mcp"},"auth":{"headers":{"Host":"a"}}}""", 400, "auth.headers")]
    [InlineData("""{"slug":"x","kind":"mcp","mcp":{"url":"http://127.0.0.1:1/mcp"}}""", 422, "could not be reached")]
    public async Task Create_Unusable_SaysWhy(string source, int expected, string says)
    {
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources", source);
        Assert.True(status == expected, body.GetRawText());
        Assert.Contains(says, body.GetRawText());
    }

    [Fact]
    public async Task Reader_MayNotChangeOrCall()
    {
        using HttpClient reader = fixture.Host.Client("alpha-reader");
        Assert.Equal(403, (await reader.PostJsonAsync("/api/v1/tool-sources", Api.Source("no"))).Status);
        Assert.Equal(403, (await reader.PostJsonAsync("/api/v1/tools/current_time/call", new { })).Status);
        Assert.Equal(200, (await reader.GetJsonAsync("/api/v1/tools")).Status);
    }

    private async Task<JsonElement> CreateAsync(string slug, object? auth = null, object? limits = null, string? idempotencyHeader = null, decimal? costUsd = null)
    {
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync("/api/v1/tool-sources", Api.Source(slug, auth, limits, idempotencyHeader, costUsd));
        Assert.True(status == 201, body.GetRawText());
        return body;
    }

    private async Task<JsonElement> CallAsync(string tool, object arguments)
    {
        (int status, JsonElement body, _) = await Alpha.PostJsonAsync($"/api/v1/tools/{tool}/call", new { arguments });
        Assert.True(status == 200, body.GetRawText());
        return body;
    }

    private static JsonElement WorkflowOf(string yaml) => MultiAgent.Workflows.WorkflowReader.ToJson(yaml)!.Value;
}
