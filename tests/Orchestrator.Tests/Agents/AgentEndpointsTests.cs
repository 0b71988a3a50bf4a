using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Agents;

public sealed class AgentEndpointsTests
{
    [Fact]
    public async Task Create_Agent_IsVersionOneWithBothLabels()
    {
        await using TestHost host = await TestHost.StartAsync();

        JsonElement agent = await host.Alpha.CreateAgentAsync();

        Assert.Equal(1, agent.GetProperty("version").GetInt32());
        Assert.Equal(1, agent.GetProperty("labels").GetProperty("production").GetInt32());
        Assert.Equal(1, agent.GetProperty("labels").GetProperty("staging").GetInt32());
        Assert.Equal("reject", agent.Text("onBusy"));
        Assert.Equal(10, agent.GetProperty("limits").GetProperty("maxSteps").GetInt32());
        (int status, JsonElement problem, _) = await host.Alpha.PostJsonAsync("/api/v1/agents", new { slug = "helper", name = "x" });
        Assert.Equal(409, status);
        Assert.Equal("conflict", problem.Text("code"));
    }

    [Fact]
    public async Task Create_EverythingWrong_ReportsAllAtOnce()
    {
        await using TestHost host = await TestHost.StartAsync();

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/agents", """
            {"slug":"Not A Slug","instructions":"{{ who }} {% if %}","model":"a","tier":"huge","onBusy":"sleep","temperature":9,
            "tools":[{"name":"nothing"},{"name":"http_request"},{"name":"calculator"},{"name":"calculator"}],
            "variables":[{"name":"1x"}],"limits":{"maxSteps":0},"responseFormat":[]}
            """);

        Assert.Equal(400, status);
        Assert.Equal("validation_failed", body.Text("code"));
        string[] members = [.. body.GetProperty("errors").EnumerateObject().Select(p => p.Name)];
        foreach (string member in new[] { "slug", "name", "instructions", "model", "tier", "onBusy", "temperature", "tools[0].name", "tools[1].allowedHosts", "tools[3].name", "variables[0].name", "limits.maxSteps", "responseFormat" })
            Assert.Contains(member, members);
    }

    [Fact]
    public async Task Instructions_UndeclaredVariable_IsRefusedAndLocalsAreNot()
    {
        await using TestHost host = await TestHost.StartAsync();

        (int status, JsonElement body, _) = await host.Alpha.PostJsonAsync("/api/v1/agents", new { slug = "a", name = "a", instructions = "{% assign x = 1 %}{% for i in (1..3) %}{{ i }}{{ forloop.index }}{% endfor %}{{ x }}{{ missing.name }}" });

        Assert.Equal(400, status);
        Assert.Contains("undeclared variables: missing.", body.Text("detail"));
    }

    [Fact]
    public async Task Variables_GivenDefaultedAndMissing_RenderOrFail()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync(more: new { instructions = "You work for {{ shop }} in {{ city }}.", variables = new object[] { new { name = "shop", required = true }, new { name = "city", @default = "Hue" } } });

        (int missing, JsonElement problem, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
        (int unknown, _, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi", variables = new { shop = "A", other = 1 } });
        (int ok, _, _) = await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi", variables = new { shop = "A & B" } });

        Assert.Equal((400, 400, 200), (missing, unknown, ok));
        Assert.Contains("'shop' is required", problem.Text("detail"));
        Assert.Equal("You work for A & B in Hue.", host.Model.Requests.Single().Messages[0].Text("content"));
    }

    [Fact]
    public async Task Put_NewVersion_TakesEffectAndRollbackBringsTheOldOneBack()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });

        (int put, JsonElement second, HttpResponseMessage response) = await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/helper", new { name = "Helper", instructions = "Second.", model = "fake/model" }, ("If-Match", "\"1\""));
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });
        (int moved, JsonElement labels, _) = await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/helper/labels/production", new { version = 1 });
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" });

        Assert.Equal((200, 200), (put, moved));
        Assert.Equal("\"2\"", response.Headers.ETag!.Tag);
        Assert.Equal(2, second.GetProperty("labels").GetProperty("production").GetInt32());
        Assert.Equal(1, labels.GetProperty("labels").GetProperty("production").GetInt32());
        Assert.Equal(2, labels.GetProperty("labels").GetProperty("staging").GetInt32());
        Assert.Equal(["Help.", "Second.", "Help."], host.Model.Requests.Select(r => r.Messages[0].Text("content")));
        (_, JsonElement versions, _) = await host.Alpha.GetJsonAsync("/api/v1/agents/helper/versions");
        Assert.Equal([2, 1], versions.GetProperty("data").EnumerateArray().Select(v => v.GetProperty("version").GetInt32()));
        (_, JsonElement first, _) = await host.Alpha.GetJsonAsync("/api/v1/agents/helper/versions/1");
        Assert.Equal("Help.", first.Text("instructions"));
    }

    [Fact]
    public async Task Put_StaleIfMatch_Is412()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();
        await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/helper", new { name = "Two" });

        (int status, JsonElement body, _) = await host.Alpha.SendAsync(HttpMethod.Put, "/api/v1/agents/helper", new { name = "Three" }, ("If-Match", "\"1\""));

        Assert.Equal(412, status);
        Assert.Equal("precondition_failed", body.Text("code"));
    }

    [Fact]
    public async Task Delete_Agent_IsGoneAndItsSlugIsFree()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.CreateAgentAsync();

        Assert.Equal(204, (await host.Alpha.SendAsync(HttpMethod.Delete, "/api/v1/agents/helper")).Status);
        Assert.Equal(404, (await host.Alpha.GetJsonAsync("/api/v1/agents/helper")).Status);
        Assert.Equal(404, (await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "helper", message = "Hi" })).Status);
        Assert.Equal(1, (await host.Alpha.CreateAgentAsync()).GetProperty("version").GetInt32());
    }

    [Fact]
    public async Task Model_TierOrNothing_IsAskedAsAuto()
    {
        await using TestHost host = await TestHost.StartAsync();
        await host.Alpha.PostJsonAsync("/api/v1/agents", new { slug = "a", name = "a" });
        await host.Alpha.PostJsonAsync("/api/v1/agents", new { slug = "b", name = "b", tier = "strong", fallbacks = new[] { "x/y" } });

        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "a", message = "Hi" });
        await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = "b", message = "Hi" });

        Assert.Equal(["auto", "auto/strong"], host.Model.Requests.Select(r => r.Call.Envelope.Model));
        SeenRequest last = host.Model.Requests.Last();
        Assert.Equal(["x/y"], last.Call.Fallbacks);
        (int start, int length) = last.Call.Envelope.ModelSpan;
        Assert.Equal("\"auto/strong\"", System.Text.Encoding.UTF8.GetString(last.Call.Body.Span.Slice(start, length)));
    }

    [Fact]
    public async Task Seed_Twice_MakesThreeExamplesOnce()
    {
        await using TestHost host = await TestHost.StartAsync();
        ITenantSeeder seeder = host.Services.GetServices<ITenantSeeder>().OfType<ExampleAgents>().Single();

        await seeder.SeedAsync("ten_alpha", default);
        await seeder.SeedAsync("ten_alpha", default);

        (_, JsonElement agents, _) = await host.Alpha.GetJsonAsync("/api/v1/agents");
        Assert.Equal(["assistant", "extractor", "support"], agents.GetProperty("data").EnumerateArray().Select(a => a.Text("slug")));
        Assert.All(agents.GetProperty("data").EnumerateArray(), a => Assert.Equal(1, a.GetProperty("latestVersion").GetInt32()));
        foreach (string slug in new[] { "assistant", "extractor", "support" })
            Assert.Equal(200, (await host.Alpha.PostJsonAsync("/api/v1/chat", new { agent = slug, message = "Hi" })).Status);
        // What the platform ships passes its own validation.
        foreach (JsonElement agent in agents.GetProperty("data").EnumerateArray())
        {
            var body = agent.EnumerateObject().Where(p => p.Name is not ("id" or "version" or "latestVersion" or "labels" or "createdAt" or "updatedAt")).ToDictionary(p => p.Name, p => p.Value);
            (int status, JsonElement answer, _) = await host.Alpha.SendAsync(HttpMethod.Put, $"/api/v1/agents/{agent.Text("slug")}", body);
            Assert.True(status == 200, answer.ToString());
        }
    }
}
