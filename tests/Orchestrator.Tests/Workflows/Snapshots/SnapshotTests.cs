using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Orchestrator.Workflows.Execution;
using MultiAgent.Orchestrator.Workflows.Snapshots;
using Waiting = MultiAgent.Orchestrator.Tests.Support.Waiting;

namespace MultiAgent.Orchestrator.Tests.Workflows.Snapshots;

/// <summary>A long log is not read from its beginning, and what is read instead says the same.</summary>
public sealed class SnapshotTests : IAsyncLifetime
{
    private const string Steps = """
          - id: many
            type: loop
            while: "iteration < 40"
            maxIterations: 100
            steps:
              - {id: sum, type: tool, tool: calculator, arguments: {expression: "{{ iteration }} + 1"}}
              - {id: nothing, type: transform, output: null}
          - {id: rest, type: wait, event: go, match: "{{ run.id }}"}
          - {id: out, type: transform, output: "{{ steps.rest.output.said }}"}
        """;

    private readonly TestWorkflows _workflows = new TestWorkflows().Add("w", Steps);
    private TestHost _host = null!;

    private IRunStore Runs => _host.Services.GetRequiredService<IRunStore>();
    private IFlowSnapshotStore Store => _host.Services.GetRequiredService<IFlowSnapshotStore>();
    private FlowSnapshots Snapshots => _host.Services.GetRequiredService<FlowSnapshots>();

    public async ValueTask InitializeAsync() =>
        _host = await TestHost.StartAsync(settings: new() { ["Runs:SnapshotEvents"] = "20" }, configure: services => services.AddSingleton<IWorkflowSource>(_workflows));

    public ValueTask DisposeAsync() => _host.DisposeAsync();

    [Fact]
    public async Task LongRun_IsTakenUpFromItsSnapshot_WhichGoesWithItsEnd()
    {
        string id = await RestingAsync();
        FlowSnapshot kept = (await Store.FindAsync("ten_alpha", id))!;
        StoredFlow read = (await Snapshots.ReadAsync("ten_alpha", id))!;
        List<RunEvent> log = await LogAsync(id);
        Assert.Equal((kept.Seq, log.Count), (read.SnapshotSeq, read.Seq));
        Assert.True(read.Seq - kept.Seq <= Math.Max(20, kept.Seq / 4) + 20, $"the newest snapshot is of event {kept.Seq} of {read.Seq}");
        Same(FlowState.Rebuild(log), read.State);

        Assert.Equal(200, (await _host.Alpha.PostJsonAsync("/api/v1/events", new { name = "go", key = id, data = new { said = "done" } })).Status);
        JsonElement run = await _host.Alpha.WaitForRunAsync(id);

        Assert.Equal(("completed", "done", 83), (run.Text("status"), run.Text("output"), run.GetProperty("steps").GetInt32()));
        Assert.Null(await Store.FindAsync("ten_alpha", id));
        await Store.KeepAsync(kept);
        Assert.Null(await Store.FindAsync("ten_alpha", id));
    }

    [Fact]
    public async Task Snapshot_ThatCannotBeRead_IsAsIfThereWereNone()
    {
        string id = await RestingAsync();
        List<RunEvent> log = await LogAsync(id);
        FlowSnapshot kept = (await Store.FindAsync("ten_alpha", id))!;
        byte[] plain = Encoding.UTF8.GetBytes("neither compressed nor JSON");
        FlowSnapshot other = kept with { Format = FlowContent.Format + 1 };
        foreach (FlowSnapshot bad in (FlowSnapshot[])[kept with { Data = plain }, kept with { Data = kept.Data[..(kept.Data.Length / 2)] }, other])
        {
            // What another version has left is replaced by anything.
            await Store.KeepAsync(other with { Seq = 1 });
            await Store.KeepAsync(bad);
            Assert.Equal(bad.Seq, (await Store.FindAsync("ten_alpha", id))!.Seq);

            StoredFlow read = (await Snapshots.ReadAsync("ten_alpha", id))!;

            Assert.Equal((0L, log.Count), (read.SnapshotSeq, read.Seq));
            Same(FlowState.Rebuild(log), read.State);
        }
        // One of another format is no reason against making one.
        Assert.Equal(log.Count, await Snapshots.MakeAsync("ten_alpha", id));
        Assert.Equal(log.Count, (await Snapshots.ReadAsync("ten_alpha", id))!.SnapshotSeq);
    }

    [Fact]
    public async Task Snapshot_OfAnotherTenantsRun_IsNotFoundAndNotKept()
    {
        string id = await RestingAsync();
        FlowSnapshot kept = (await Store.FindAsync("ten_alpha", id))!;
        Assert.Null(await Store.FindAsync("ten_beta", id));
        Assert.Null(await Snapshots.ReadAsync("ten_beta", id));
        await Store.KeepAsync(kept with { TenantId = "ten_beta", Seq = kept.Seq + 1 });
        Assert.Equal(kept.Seq, (await Store.FindAsync("ten_alpha", id))!.Seq);
    }

    [Fact]
    public async Task OlderSnapshot_DoesNotReplaceANewerOne()
    {
        string id = await RestingAsync();
        FlowSnapshot kept = (await Store.FindAsync("ten_alpha", id))!;
        await Store.KeepAsync(kept with { Seq = 20 });
        Assert.Equal(kept.Seq, (await Store.FindAsync("ten_alpha", id))!.Seq);
    }

    /// <summary>Two states come to the same.</summary>
    internal static void Same(FlowState expected, FlowState actual, string? told = null) =>
        Assert.True(Text(expected) is var e && Text(actual) is var a && e == a, $"{told}\nexpected\n{e}\nactual\n{a}");

    private static string Text(FlowState state)
    {
        FlowContent content = state.Content();
        string rest = JsonSerializer.Serialize(new FlowContent { Steps = content.Steps, Usage = content.Usage, CostUsd = content.CostUsd, Compensating = content.Compensating, Records = [] }, FlowContentJson.Default.FlowContent);
        return $"{rest}\n{string.Join("\n", content.Records.OrderBy(r => r.Key, StringComparer.Ordinal).Select(r => $"{r.Key} {JsonSerializer.Serialize(r.Value, FlowContentJson.Default.StepRecord)}"))}";
    }

    private async Task<string> RestingAsync()
    {
        string id = (await _host.Alpha.PostJsonAsync("/api/v1/runs", new { workflow = "w" })).Body.Text("id");
        await Waiting.UntilAsync(async () => (await Runs.FindAsync("ten_alpha", id))!.Status == RunStatus.Waiting, "the run rests");
        // Once the last that the run has asked for is there, no other comes.
        long made = 0;
        await Waiting.UntilAsync(async () =>
        {
            long now = await Store.FindAsync("ten_alpha", id) is { } snapshot ? snapshot.Seq : 0;
            bool settled = now > 100 && now == made;
            made = now;
            return settled;
        }, "its snapshot");
        return id;
    }

    private async Task<List<RunEvent>> LogAsync(string id)
    {
        var log = new List<RunEvent>();
        while (await Runs.EventsAsync("ten_alpha", id, log.Count, 1000) is { Count: > 0 } more) log.AddRange(more);
        return log;
    }
}
