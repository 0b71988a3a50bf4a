using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Orchestrator.Workflows.Definitions;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Workflows through the API: versions, labels, formats, and what is wrong with them.</summary>
public sealed class WorkflowEndpointsTests
{
    private const string First = "# the first\napiVersion: maap/v1\nkind: Workflow\nname: flow\ndescription: One\nsteps:\n- {id: a, type: transform, output: 1}\n";
    private static readonly string Second = First.Replace("One", "Two", StringComparison.Ordinal).Replace("output: 1", "output: 2", StringComparison.Ordinal);

    [Fact]
    public async Task Create_FromYaml_IsVersionOneWithBothLabelsAndKeepsItsSource()
    {
        await using TestHost host = await TestHost.StartAsync();

        (int status, JsonElement body, HttpResponseMessage response) = await Send(host.Alpha, HttpMethod.Post, "", First);

        Assert.True(status == 201, body.ToString());
        Assert.Equal("/api/v1/workflows/flow", response.Headers.Location!.ToString());
        Assert.Equal("\"1\"", response.Headers.ETag!.Tag);
        Assert.Equal(("flow", "One"), (body.Text("slug"), body.Text("description")));
        Assert.Equal(1, body.GetProperty("labels").GetProperty("production").GetInt32());
        Assert.Equal(1, body.GetProperty("labels").GetProperty("staging").GetInt32());
        Assert.Equal(1, body.GetProperty("definition").GetProperty("steps")[0].GetProperty("output").GetInt32());
        Assert.Equal(First, await Source(host.Alpha, "/flow"));
        Assert.Equal(409, (await Send(host.Alpha, HttpMethod.Post, "", First)).Status);
    }

    [Fact]
    public async Task Create_FromJson_IsTheSame()
    {
        await using TestHost host = await TestHost.StartAsync();

        // Tabs and pairs of escapes are JSON and no YAML.
        (int status, JsonElement body, _) = await Send(host.Alpha, HttpMethod.Post, "", "{\n\t\"apiVersion\": \"maap/v1\", \"kind\": \"Workflow\", \"name\": \"flow\",\n\t\"steps\": [{\"id\": \"a\", \"type\": \"transform\", \"output\": \"\\ud83d\\ude00 \\/\"}]}", "application/json");

        Assert.True(status == 201, body.ToString());
        (_, JsonElement view, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows/flow");
        Assert.Equal("😀 /", view.GetProperty("definition").GetProperty("steps")[0].Text("output"));
        Assert.Equal(400, (await Send(host.Alpha, HttpMethod.Post, "", "{\"a\": ", "application/json")).Status);
        Assert.Equal(415, (await Send(host.Alpha, HttpMethod.Post, "", First, "text/plain")).Status);
    }

    [Fact]
    public async Task Create_WithMistakes_ReportsAllWithTheirPlaces()
    {
        await using TestHost host = await TestHost.StartAsync();

        (int status, JsonElement body, _) = await Send(host.Alpha, HttpMethod.Post, "", First.Replace("output: 1", "outptu: 1", StringComparison.Ordinal) + "- {id: a, type: wait}\n");

        Assert.Equal(400, status);
        Assert.Equal("validation_failed", body.Text("code"));
        Assert.Equal(["missing_member", "unknown_member", "missing_member", "duplicate_id"], Codes(body));
        JsonElement problem = body.GetProperty("problems")[1];
        Assert.Equal((7, 28, "steps[0].outptu"), (problem.GetProperty("line").GetInt32(), problem.GetProperty("column").GetInt32(), problem.Text("path")));
        Assert.Equal(404, (await host.Alpha.GetJsonAsync("/api/v1/workflows/flow")).Status);
    }

    [Fact]
    public async Task Validate_OfReferences_ChecksThemAgainstTheTenant()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await Send(host.Alpha, HttpMethod.Post, "", First);
        const string Calls = """
            apiVersion: maap/v1
            kind: Workflow
            name: calls
            steps:
            - {id: a, type: agent, agent: helper, message: Hi}
            - {id: b, type: agent, agent: helper@staging, message: Hi}
            - {id: c, type: agent, agent: helper@7, message: Hi}
            - {id: d, type: subworkflow, workflow: flow@1}
            - {id: e, type: subworkflow, workflow: other}
            - {id: f, type: subworkflow, workflow: calls, when: false}
            - {id: g, type: tool, tool: calculator, arguments: {expression: 1 + 1}}
            - {id: h, type: tool, tool: hammer}
            - {id: i, type: tool, tool: http_request, arguments: {url: "https://example.com"}}
            """;

        (int status, JsonElement body, _) = await Send(host.Alpha, HttpMethod.Post, "/validate", Calls);
        (_, JsonElement other, _) = await Send(host.Beta, HttpMethod.Post, "/validate", Calls);

        Assert.Equal(200, status);
        Assert.False(body.GetProperty("valid").GetBoolean());
        Assert.Equal(["unknown_agent", "unknown_workflow", "unknown_tool", "invalid_value"], Codes(body));
        Assert.Equal([7, 9, 12, 13], body.GetProperty("problems").EnumerateArray().Select(p => p.GetProperty("line").GetInt32()));
        // Nothing of the first tenant counts for the second.
        Assert.Equal([5, 6, 7, 8, 9, 12, 13], other.GetProperty("problems").EnumerateArray().Select(p => p.GetProperty("line").GetInt32()));
        (_, JsonElement valid, _) = await Send(host.Beta, HttpMethod.Post, "/validate", First);
        Assert.True(valid.GetProperty("valid").GetBoolean());
        Assert.Empty(Codes(valid));
        Assert.Equal(404, (await host.Beta.GetJsonAsync("/api/v1/workflows/flow")).Status);
    }

    [Fact]
    public async Task Put_NewVersion_TakesEffectAndRollbackBringsTheOldOneBack()
    {
        await using TestHost host = await TestHost.StartAsync();
        var source = host.Services.GetRequiredService<IWorkflowSource>();
        await Send(host.Alpha, HttpMethod.Post, "", First);
        Assert.Equal(1, (await source.FindAsync("ten_alpha", "flow", null, default))!.Version);

        (int put, JsonElement second, HttpResponseMessage response) = await Send(host.Alpha, HttpMethod.Put, "/flow", Second, ifMatch: "\"1\"");
        WorkflowVersion? afterPut = await source.FindAsync("ten_alpha", "flow", null, default);
        (int moved, _, _) = await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/workflows/flow/labels/production", new { version = 1 });
        WorkflowVersion? afterMove = await source.FindAsync("ten_alpha", "flow", null, default);

        Assert.Equal((200, 200), (put, moved));
        Assert.Equal("\"2\"", response.Headers.ETag!.Tag);
        Assert.Equal(2, second.GetProperty("version").GetInt32());
        Assert.Equal((2, 1), (afterPut!.Version, afterMove!.Version));
        Assert.Equal(2, (await source.FindAsync("ten_alpha", "flow", "staging", default))!.Version);
        Assert.Equal("Two", (await source.FindAsync("ten_alpha", "flow", "2", default))!.Definition.Description);
        (_, JsonElement versions, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows/flow/versions");
        Assert.Equal([2, 1], versions.GetProperty("data").EnumerateArray().Select(v => v.GetProperty("version").GetInt32()));
        Assert.Equal(["production"], versions.GetProperty("data")[1].GetProperty("labels").EnumerateArray().Select(l => l.GetString()));
        Assert.Equal(First, await Source(host.Alpha, "/flow/versions/1"));
        Assert.Equal(Second, await Source(host.Alpha, "/flow"));
        Assert.Equal(404, (await host.Alpha.GetJsonAsync("/api/v1/workflows/flow/versions/3")).Status);
        Assert.Equal(400, (await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/workflows/flow/labels/production", new { version = 3 })).Status);
        Assert.Equal(400, (await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/workflows/flow/labels/latest", new { version = 1 })).Status);
    }

    [Fact]
    public async Task Put_ThatDoesNotFit_ChangesNothing()
    {
        await using TestHost host = await TestHost.StartAsync();
        await Send(host.Alpha, HttpMethod.Post, "", First);
        await Send(host.Alpha, HttpMethod.Put, "/flow?promote=false", Second);

        Assert.Equal(412, (await Send(host.Alpha, HttpMethod.Put, "/flow", Second, ifMatch: "\"1\"")).Status);
        Assert.Equal(412, (await Send(host.Alpha, HttpMethod.Put, "/flow", Second, ifMatch: "\"x\"")).Status);
        Assert.Equal(400, (await Send(host.Alpha, HttpMethod.Put, "/flow", Second.Replace("name: flow", "name: flew", StringComparison.Ordinal))).Status);
        Assert.Equal(400, (await Send(host.Alpha, HttpMethod.Put, "/flow", "steps: []")).Status);
        Assert.Equal(404, (await Send(host.Alpha, HttpMethod.Put, "/other", Second)).Status);
        (_, JsonElement view, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows/flow");
        Assert.Equal((2, 1, 2), (view.GetProperty("latestVersion").GetInt32(), view.GetProperty("labels").GetProperty("production").GetInt32(), view.GetProperty("labels").GetProperty("staging").GetInt32()));
    }

    [Fact]
    public async Task Create_TwiceWithOneKey_IsOneWorkflowAndOneAnswer()
    {
        await using TestHost host = await TestHost.StartAsync();

        (int first, JsonElement a, _) = await Send(host.Alpha, HttpMethod.Post, "", First, key: "k1");
        (int second, JsonElement b, _) = await Send(host.Alpha, HttpMethod.Post, "", First, key: "k1");
        (int third, _, _) = await Send(host.Alpha, HttpMethod.Post, "", Second, key: "k1");

        Assert.Equal((201, 201, 409), (first, second, third));
        Assert.Equal(a.Text("id"), b.Text("id"));
    }

    [Fact]
    public async Task Delete_Workflow_IsGoneItsVersionsStayAndItsSlugIsFree()
    {
        await using TestHost host = await TestHost.StartAsync();
        var source = host.Services.GetRequiredService<IWorkflowSource>();
        await Send(host.Alpha, HttpMethod.Post, "", First);
        WorkflowVersion before = (await source.FindAsync("ten_alpha", "flow", null, default))!;

        Assert.Equal(204, (await host.Alpha.SendAsync(HttpMethod.Delete, "/api/v1/workflows/flow")).Status);

        Assert.Equal(404, (await host.Alpha.GetJsonAsync("/api/v1/workflows/flow")).Status);
        Assert.Null(await source.FindAsync("ten_alpha", "flow", null, default));
        WorkflowCatalogue fresh = ActivatorUtilities.CreateInstance<WorkflowCatalogue>(host.Services);
        Assert.Equal("One", (await fresh.FindVersionAsync("ten_alpha", before.Id, 1, default))!.Definition.Description);
        Assert.Null(await fresh.FindVersionAsync("ten_beta", before.Id, 1, default));
        Assert.Null(await source.FindVersionAsync("ten_beta", before.Id, 1, default));
        Assert.Equal(1, (await Send(host.Alpha, HttpMethod.Post, "", Second)).Body.GetProperty("version").GetInt32());
    }

    [Fact]
    public async Task List_InPages_GivesEachOnceInOrder()
    {
        await using TestHost host = await TestHost.StartAsync();
        foreach (string name in (string[])["c", "a", "b"]) await Send(host.Alpha, HttpMethod.Post, "", First.Replace("name: flow", $"name: {name}", StringComparison.Ordinal));

        (_, JsonElement one, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows?limit=2");
        (_, JsonElement two, _) = await host.Alpha.GetJsonAsync($"/api/v1/workflows?limit=2&cursor={one.Text("nextCursor")}");

        Assert.Equal(["a", "b"], one.GetProperty("data").EnumerateArray().Select(w => w.Text("slug")));
        Assert.Equal(["c"], two.GetProperty("data").EnumerateArray().Select(w => w.Text("slug")));
        Assert.Equal("One", two.GetProperty("data")[0].Text("description"));
        Assert.False(two.GetProperty("data")[0].TryGetProperty("definition", out JsonElement definition) && definition.ValueKind != JsonValueKind.Null);
    }

    [Fact]
    public async Task Schema_OfTheApi_IsThePublishedOne()
    {
        await using TestHost host = await TestHost.StartAsync();

        using HttpResponseMessage response = await host.Alpha.GetAsync("/api/v1/workflows/schema");

        Assert.Equal("application/schema+json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal(MultiAgent.Workflows.WorkflowSchema.Text, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Graph_OfAVersion_IsJsonOrMermaid()
    {
        await using TestHost host = await TestHost.StartAsync();
        await Send(host.Alpha, HttpMethod.Post, "", First);
        await Send(host.Alpha, HttpMethod.Put, "/flow", First + "- {id: b, type: end}\n");

        (_, JsonElement latest, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows/flow/graph");
        (_, JsonElement first, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows/flow/graph?version=1");
        string mermaid = await host.Alpha.GetStringAsync("/api/v1/workflows/flow/graph?format=mermaid");

        Assert.Equal(["$start", "a", "b", "$end"], latest.GetProperty("nodes").EnumerateArray().Select(n => n.Text("id")));
        Assert.Equal(["$start", "a", "$end"], first.GetProperty("nodes").EnumerateArray().Select(n => n.Text("id")));
        Assert.Contains("s_a --> s_b", mermaid, StringComparison.Ordinal);
        Assert.Equal(404, (await host.Alpha.GetJsonAsync("/api/v1/workflows/flow/graph?version=3")).Status);
        Assert.Equal(400, (await host.Alpha.GetJsonAsync("/api/v1/workflows/flow/graph?format=svg")).Status);
    }

    internal static async Task<(int Status, JsonElement Body, HttpResponseMessage Response)> Send(HttpClient client, HttpMethod method, string path, string source, string type = "application/yaml", string? ifMatch = null, string? key = null)
    {
        using var request = new HttpRequestMessage(method, $"/api/v1/workflows{path}") { Content = new StringContent(source, Encoding.UTF8, type) };
        if (ifMatch is not null) request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        if (key is not null) request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        HttpResponseMessage response = await client.SendAsync(request);
        string text = await response.Content.ReadAsStringAsync();
        return ((int)response.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement, response);
    }

    private static async Task<string> Source(HttpClient client, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/v1/workflows{path}");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/yaml"));
        using HttpResponseMessage response = await client.SendAsync(request);
        Assert.Equal("application/yaml", response.Content.Headers.ContentType!.MediaType);
        return await response.Content.ReadAsStringAsync();
    }

    private static IEnumerable<string> Codes(JsonElement body) => body.GetProperty("problems").EnumerateArray().Select(p => p.Text("code"));
}
