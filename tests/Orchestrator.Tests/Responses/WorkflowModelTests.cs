using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Clients;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Responses;

[Trait("Database", "once")]
public sealed class WorkflowModelTests : IAsyncLifetime
{
    private const string Greet = "  - id: greet\n    type: transform\n    output: \"Hello {{ inputs.name }}\"\n";
    private const string OneName = "inputs:\n  type: object\n  properties:\n    name: { type: string }\n    age: { type: integer }\n  required: [name]\n";

    private TestHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await TestHost.StartAsync(configure: services => services.AddSingleton<IWorkflowSource>(
        new TestWorkflows().Add("greet", Greet, OneName).Add("pair", Greet, "inputs:\n  type: object\n  properties:\n    name: { type: string }\n    age: { type: integer }\n  required: [name, age]\n")));

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task Workflow_AsTheModelOfAResponse_AnswersWithItsOutput()
    {
        JsonElement text = (await _host.Alpha.PostJsonAsync("/v1/responses", new { model = "workflow/greet", input = "Ana" })).Body;
        JsonElement json = (await _host.Alpha.PostJsonAsync("/v1/responses", new { model = "workflow/pair", input = """{"name":"Bo","age":4}""" })).Body;
        await using SseReader reader = await SseReader.OpenAsync(_host.Alpha, HttpMethod.Post, "/v1/responses", new { model = "workflow/greet", input = "Cy", stream = true });
        List<SseEvent> events = await reader.AllAsync();

        Assert.Equal("Hello Ana", Answer(text));
        Assert.Equal("Hello Bo", Answer(json));
        Assert.Equal("Hello Cy", Answer(events[^1].Json.GetProperty("response")));
        Assert.Equal("Hello Ana", Answer((await _host.Alpha.GetJsonAsync($"/v1/responses/{text.Text("id")}")).Body));
        JsonElement run = (await _host.Alpha.GetJsonAsync($"/api/v1/runs/run_{text.Text("id")[5..]}")).Body;
        Assert.Equal(("workflow", "greet"), (run.Text("kind"), run.Text("workflow")));
    }

    [Theory]
    [InlineData("""{"model":"workflow/pair","input":"no object"}""", "input")]
    [InlineData("""{"model":"workflow/pair","input":"{\"name\":1}"}""", "input")]
    [InlineData("""{"model":"workflow/greet","input":"x","instructions":"y"}""", "instructions")]
    public async Task Workflow_WithInputThatDoesNotFit_Is400(string body, string param)
    {
        (int status, JsonElement refused, _) = await _host.Alpha.PostJsonAsync("/v1/responses", body);

        Assert.Equal((400, param), (status, refused.Text("error", "param")));
    }

    [Fact]
    public async Task Workflow_AsTheModelOfAChat_AnswersWholeAndAsAStream()
    {
        JsonElement whole = JsonDocument.Parse(await CompleteAsync(stream: false)).RootElement;
        string stream = await CompleteAsync(stream: true);

        Assert.Equal("Hello Ana", whole.GetProperty("choices")[0].Text("message", "content"));
        Assert.Equal("workflow/greet", whole.Text("model"));
        Assert.Contains("\"content\":\"Hello Ana\"", stream, StringComparison.Ordinal);
        Assert.EndsWith("data: [DONE]\n\n", stream, StringComparison.Ordinal);
    }

    private async Task<string> CompleteAsync(bool stream)
    {
        var agents = _host.Services.GetRequiredService<IAgentCompletions>();
        await using IAgentCompletion completion = await agents.CompleteAsync(new AgentCompletionRequest
        {
            Caller = FakeTenants.Of("alpha"), Agent = "workflow/greet", Stream = stream, RequestId = "req_1",
            Body = Encoding.UTF8.GetBytes("""{"model":"workflow/greet","messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"text","text":"Ana"}]}]}"""),
        }, CancellationToken.None);
        Assert.Equal(200, completion.StatusCode);
        using var text = new MemoryStream();
        await completion.Body.CopyToAsync(text);
        return Encoding.UTF8.GetString(text.ToArray());
    }

    private static string Answer(JsonElement response) => response.GetProperty("output")[0].GetProperty("content")[0].Text("text");
}
