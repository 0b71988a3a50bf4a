using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Storage;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;
using TestStorage = MultiAgent.Testing.TestStorage;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>The end of an agent's run that is a step of a workflow is stored with what the workflow writes next.</summary>
public sealed class StepEndTests
{
    private const int Steps = 12;

    [Fact]
    public async Task Ends_GoWithTheNextWriteOfTheWorkflow()
    {
        TestWorkflows workflows = new TestWorkflows().Add("w", string.Concat(Enumerable.Range(0, Steps).Select(i => $"  - {{id: ask{i}, type: agent, agent: helper, message: \"{i}\"}}\n")));
        var store = (RecordingStore)(object)DispatchProxy.Create<IRunStore, RecordingStore>();
        await using TestHost host = await TestHost.StartAsync(configure: services =>
        {
            services.AddSingleton<IWorkflowSource>(workflows);
            services.AddSingleton(provider =>
            {
                store.Inner = TestStorage.IsPostgres ? ActivatorUtilities.CreateInstance<PostgresRunStore>(provider) : ActivatorUtilities.CreateInstance<SqliteRunStore>(provider);
                return (IRunStore)(object)store;
            });
        });
        await host.Alpha.CreateAgentAsync();
        host.Model.Default = (_, _) => Task.FromResult(FakeAnswer.Says("yes"));

        string id = (await host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" })).Body.Text("id");
        Assert.Equal("completed", (await host.Alpha.WaitForRunAsync(id)).Text("status"));

        // Nobody is told of the ends of steps.
        Assert.Equal(["orchestrator.run.completed"], await host.OutboxSubjectsAsync());
        IReadOnlyList<RunRecord> children = await store.Inner.ListAsync("ten_alpha", new RunFilter(null, null, null, id), null, 100);
        Assert.Equal(Steps, children.Count(c => c.Status == RunStatus.Completed));
        // On a machine that stands still for milliseconds one or the other stores its end itself.
        int together = store.Writes.Where(w => w.Run.Id == id).Sum(w => w.Ends.Count), alone = store.Writes.Count(w => w.Run.ParentRunId == id && w.End is not null);
        Assert.Equal(Steps, together + alone);
        Assert.InRange(together, Steps / 2, Steps);
        Assert.All(children, c => Assert.Equal(1, store.Writes.SelectMany(w => w.Ends.Prepend(w)).Count(w => w.Run.Id == c.Id && w.End is not null)));
    }

    /// <summary>Notes the writes of runs.</summary>
    internal class RecordingStore : DispatchProxy
    {
        public IRunStore Inner { get; set; } = null!;

        public ConcurrentQueue<RunWrite> Writes { get; } = [];

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            if (args is [RunWrite write]) Writes.Enqueue(write);
            if (args is [NewRun { ParentWrite: { } parent }]) Writes.Enqueue(parent);
            return targetMethod!.Invoke(Inner, args);
        }
    }
}
