using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Workflows;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>A process that hears at a write that a run is another's leaves everything of it alone.</summary>
[Trait("Database", "once")]
public sealed class LostRunTests
{
    [Fact]
    public async Task StrandThatHearsOfIt_DoesNotCancelTheAgentOfAnother()
    {
        Assert.SkipWhen(TestStorage.IsPostgres, "The row of the run is changed behind the engine's back, in SQLite.");
        TestWorkflows workflows = new TestWorkflows().Add("w", """
              - id: both
                type: parallel
                branches:
                  - {id: calls, steps: [{id: gate, type: tool, tool: gate, arguments: {}}]}
                  - {id: asks, steps: [{id: ask, type: agent, agent: helper, message: "take your time"}]}
            """);
        var gate = new GateTool();
        await using TestHost host = await TestHost.StartAsync(configure: services =>
        {
            services.AddSingleton<IWorkflowSource>(workflows);
            services.AddSingleton<ITool>(gate);
        });
        await host.Alpha.CreateAgentAsync();
        var answers = new TaskCompletionSource();
        host.Model.Default = async (_, cancellationToken) =>
        {
            await answers.Task.WaitAsync(cancellationToken);
            return FakeAnswer.Says("at last");
        };
        string id = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" })).Body.Text("id");
        await host.Model.WaitForRequestsAsync(1);
        await gate.Called.Task.WaitAsync(TestHost.Deadline, TestContext.Current.CancellationToken);
        RunEngine engine = host.Services.GetRequiredService<RunEngine>();
        IRunStore runs = host.Services.GetRequiredService<IRunStore>();
        RunRecord child = Assert.Single(await runs.ListAsync("ten_alpha", new RunFilter(null, null, null, id), null, 10));

        using (SqliteSession session = host.Database.OpenSession()) session.Execute($"UPDATE runs SET lease_owner = 'another', lease_epoch = lease_epoch + 1 WHERE id = '{id}'");
        gate.Open.SetResult();
        await Waiting.UntilAsync(() => Task.FromResult(engine.Find("ten_alpha", id) is null), "the run is let go");
        answers.SetResult();

        Assert.Equal("completed", (await host.Alpha.WaitForRunAsync(child.Id)).Text("status"));
        Assert.Equal(RunStatus.Running, (await runs.FindAsync("ten_alpha", id))!.Status);
    }

    /// <summary>Answers once somebody opens it.</summary>
    private sealed class GateTool : ITool
    {
        public TaskCompletionSource Called { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public TaskCompletionSource Open { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
        public string Name => "gate";
        public string Description => "Waits.";
        public string ParametersSchema => """{"type":"object"}""";
        public byte[] Definition { get; } = ToolRegistry.Define("gate", "Waits.", """{"type":"object"}""");

        public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

        public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
        {
            Called.TrySetResult();
            await Open.Task.WaitAsync(cancellationToken);
            return "open";
        }
    }
}
