using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Workflows.Definitions;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>What the platform ships passes its own checks, in a tenant that has the example agents.</summary>
public sealed class ExampleWorkflowTests
{
    [Fact]
    public async Task Seed_Twice_MakesEachExampleOnceAndAllAreValid()
    {
        await using TestHost host = await TestHost.StartAsync();
        foreach (ITenantSeeder seeder in host.Services.GetServices<ITenantSeeder>().Concat(host.Services.GetServices<ITenantSeeder>())) await seeder.SeedAsync("ten_alpha", default);

        (_, JsonElement list, _) = await host.Alpha.GetJsonAsync("/api/v1/workflows");

        Assert.Equal(12, ExampleWorkflows.All.Count);
        Assert.Equal(ExampleWorkflows.All.Select(e => e.Slug), list.GetProperty("data").EnumerateArray().Select(w => w.Text("slug")));
        Assert.All(list.GetProperty("data").EnumerateArray(), w => Assert.Equal(1, w.GetProperty("latestVersion").GetInt32()));
        foreach (ExampleWorkflow example in ExampleWorkflows.All)
        {
            (int status, JsonElement check, _) = await WorkflowEndpointsTests.Send(host.Alpha, HttpMethod.Post, "/validate", example.Source);
            Assert.True(status == 200 && check.GetProperty("valid").GetBoolean(), check.ToString());
            WorkflowDefinition definition = WorkflowReader.Read(example.Source).Definition!;
            Assert.Equal((example.Slug, example.Description), (definition.Name, definition.Description));
        }
        (_, JsonElement other, _) = await host.Beta.GetJsonAsync("/api/v1/workflows");
        Assert.Empty(other.GetProperty("data").EnumerateArray());
    }

    [Theory]
    [InlineData("HTTP 200\nContent-Type: application/json\n\n{\"a\": 1.50}", 200, """{"status":200,"contentType":"application/json","body":{"a": 1.50}}""")]
    [InlineData("HTTP 204\n\n", 204, """{"status":204,"body":""}""")]
    [InlineData("HTTP 200\nContent-Type: text/plain\n\na\n\nb", 200, """{"status":200,"contentType":"text/plain","body":"a\n\nb"}""")]
    public void HttpAnswer_OfTheToolsText_IsStatusAndBody(string text, int status, string json)
    {
        HttpAnswer answer = HttpAnswer.Parse(text)!;

        Assert.Equal(status, answer.Status);
        Assert.Equal(json, answer.ToJson().GetRawText());
        Assert.Null(HttpAnswer.Parse("no answer\n\nat all"));
    }
}
