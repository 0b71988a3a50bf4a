using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Runs.Leases;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Runs;

/// <content>Runs that are steps of others: what is stored with their parent's write.</content>
public abstract partial class RunStoreConformance
{
    [Fact]
    public async Task Accept_WithAWriteOfTheParent_StoresBoth()
    {
        NewRun parent = RunSamples.Run("t1"), step = Step(parent, 3);
        await Store.AcceptAsync(parent);

        Assert.IsType<AcceptOutcome.Started>(await Store.AcceptAsync(step));

        Assert.Equal(3, await Store.LastSeqAsync("t1", parent.Record.Id));
        Assert.Equal(2, await Store.LastSeqAsync("t1", step.Record.Id));
    }

    [Fact]
    public async Task Accept_WithAWriteOfAParentThatEnded_StoresNeither()
    {
        NewRun parent = RunSamples.Run("t1"), step = Step(parent, 4);
        await Store.AcceptAsync(parent);
        await Store.AppendAsync(RunSamples.End(parent));

        await Assert.ThrowsAsync<LeaseLostException>(() => Store.AcceptAsync(step));

        Assert.Equal(3, await Store.LastSeqAsync("t1", parent.Record.Id));
        Assert.Null(await Store.FindAsync("t1", step.Record.Id));
    }

    [Fact]
    public async Task Append_WithEndsOfSteps_StoresThemToo()
    {
        NewRun parent = RunSamples.Run("t1"), one = Step(parent, 3), two = Step(parent, 4);
        foreach (NewRun run in (NewRun[])[parent, one, two]) await Store.AcceptAsync(run);

        await Store.AppendAsync(new RunWrite { Run = parent.Record, Events = [RunSamples.Event(5, "x")], Ends = [RunSamples.End(one), RunSamples.End(two)] });

        Assert.Equal(5, await Store.LastSeqAsync("t1", parent.Record.Id));
        Assert.Equal(RunStatus.Running, (await Store.FindAsync("t1", parent.Record.Id))!.Status);
        foreach (NewRun step in (NewRun[])[one, two])
        {
            RunRecord ended = (await Store.FindAsync("t1", step.Record.Id))!;
            Assert.Equal((RunStatus.Completed, 3L), (ended.Status, await Store.LastSeqAsync("t1", step.Record.Id)));
        }
    }

    [Fact]
    public async Task Append_WithTheEndOfAStepThatIsLost_StoresNothing()
    {
        NewRun parent = RunSamples.Run("t1"), step = Step(parent, 3);
        foreach (NewRun run in (NewRun[])[parent, step]) await Store.AcceptAsync(run);
        await Store.AppendAsync(RunSamples.End(step));

        await Assert.ThrowsAsync<LeaseLostException>(() => Store.AppendAsync(new RunWrite { Run = parent.Record, Events = [RunSamples.Event(4, "x")], Ends = [RunSamples.End(step)] }));

        Assert.Equal(3, await Store.LastSeqAsync("t1", parent.Record.Id));
        Assert.Equal(3, await Store.LastSeqAsync("t1", step.Record.Id));
    }

    /// <summary>A run that <paramref name="parent"/> starts with its event number <paramref name="seq"/>.</summary>
    private static NewRun Step(NewRun parent, long seq)
    {
        NewRun step = RunSamples.Run("t1");
        return new NewRun
        {
            Record = step.Record with { ParentRunId = parent.Record.Id, ConversationId = null, Surface = RunInput.StepSurface },
            Accepted = step.Accepted,
            Started = step.Started,
            Lease = step.Lease,
            ParentWrite = new RunWrite { Run = parent.Record, Events = [RunSamples.Event(seq, "s")] },
        };
    }
}
