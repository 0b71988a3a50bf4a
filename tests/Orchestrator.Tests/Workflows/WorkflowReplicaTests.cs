using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;
using TestDatabase = MultiAgent.Testing.TestDatabase;
using TestPostgres = MultiAgent.Testing.TestPostgres;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Two orchestrators on one PostgreSQL: a workflow outlives the process that works on it, and rests in none.</summary>
[Trait("Database", "once")]
public sealed class WorkflowReplicaTests : IAsyncLifetime
{
    private readonly TestWorkflows _workflows = new();
    private readonly TaskCompletionSource _release = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Plug _plug = new();
    private TestDatabase? _database;
    private TestHost _first = null!;
    private TestHost _second = null!;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        _database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
        var settings = new Dictionary<string, string?>(_database.Settings) { ["Runs:LeaseSeconds"] = "3" };
        _first = await TestHost.StartAsync(settings: settings, configure: services =>
        {
            services.AddSingleton<IWorkflowSource>(_workflows);
            _plug.AddTo(services);
        });
        _second = await TestHost.StartAsync(settings: settings, configure: services => services.AddSingleton<IWorkflowSource>(_workflows));
        _first.Model.Default = async (_, cancellationToken) =>
        {
            await _release.Task.WaitAsync(cancellationToken);
            return FakeAnswer.Says("from the first");
        };
        _second.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("from the second"));
        await _first.Alpha.CreateAgentAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _release.TrySetResult();
        _plug.PutIn();
        if (_first is not null) await _first.DisposeAsync();
        if (_second is not null) await _second.DisposeAsync();
        if (_database is not null) await _database.DisposeAsync();
    }

    [Fact]
    public async Task Process_DiesDuringAStep_TheOtherEndsTheWorkflow()
    {
        _workflows.Add("w", """
              - {id: one, type: tool, tool: calculator, arguments: {expression: "1 + 1"}}
              - {id: ask, type: agent, agent: helper, message: hi}
              - {id: out, type: transform, output: ["{{ steps.one.output }}", "{{ steps.ask.output }}"]}
            """);
        string id = (await _first.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" })).Body.Text("id");
        await _first.Model.WaitForRequestsAsync(1);
        _plug.Pull();
        JsonElement run = await _second.Alpha.WaitForRunAsync(id);
        _plug.PutIn();
        _release.SetResult();
        string[] events = [.. (await _second.Alpha.GetJsonAsync($"/api/v1/runs/{id}/events?limit=200", ("Accept", "application/json"))).Body.GetProperty("data").EnumerateArray().Select(e => e.Text("type"))];

        Assert.Equal("""[2,"from the second"]""", run.GetProperty("output").GetRawText());
        Assert.Single(events, e => e == "run.resumed");
        Assert.Single(events, e => e == "tool_call.intended");
        Assert.Single(events, e => e == "run.completed");
        Assert.Single(_second.Model.Requests);
    }

    [Fact]
    public async Task Run_AtRest_IsWokenByAnAnswerToAnyProcess()
    {
        _workflows.Add("w", """
              - {id: ask, type: human, title: t}
              - {id: paid, type: wait, event: paid}
              - {id: out, type: transform, output: "{{ steps.ask.output.decision }}"}
            """);
        string id = (await _first.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" })).Body.Text("id");
        JsonElement open = default;
        await Waiting.UntilAsync(async () => (open = (await _second.Alpha.GetJsonAsync("/api/v1/approvals")).Body.GetProperty("data")).GetArrayLength() == 1, "the question");
        (int decided, _, _) = await _second.Alpha.PostJsonAsync($"/api/v1/approvals/{open[0].Text("id")}", new { decision = "approve" });
        await Waiting.UntilAsync(async () => (await _second.Alpha.PostJsonAsync("/api/v1/events", new { name = "paid" })).Body.GetProperty("runs").GetArrayLength() == 1, "the wait for the event");
        JsonElement run = await _first.Alpha.WaitForRunAsync(id);

        Assert.Equal((200, "approve"), (decided, run.Text("output")));
    }
}
