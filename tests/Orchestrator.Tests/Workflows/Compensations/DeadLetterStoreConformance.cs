using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Workflows.Compensations;

namespace MultiAgent.Orchestrator.Tests.Workflows.Compensations;

/// <summary>What every store of dead letters keeps.</summary>
public abstract class DeadLetterStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = RunSamples.At;
    private static readonly byte[] Data = Encoding.UTF8.GetBytes("{}");

    [Fact]
    public async Task Letter_WrittenWithItsEvent_IsWhatWasWritten()
    {
        (NewRun run, DeadLetter letter) = await FailAsync("t1");

        Assert.Equal(letter, await Stores.DeadLetters.FindAsync("t1", letter.Id));
        Assert.Equal(letter, Assert.Single(await Stores.DeadLetters.ListAsync("t1", new DeadLetterFilter(DeadLetterStatus.Open, "flow", run.Record.Id), null, 10)));
        Assert.Empty(await Stores.DeadLetters.ListAsync("t1", new DeadLetterFilter(DeadLetterStatus.Resolved, null, null), null, 10));
        Assert.Empty(await Stores.DeadLetters.ListAsync("t1", new DeadLetterFilter(null, "other", null), null, 10));
        Assert.Empty(await Stores.DeadLetters.ListAsync("t1", default, letter.Id, 10));
        Assert.Equal(1, await Stores.DeadLetters.CountOpenAsync());
    }

    [Fact]
    public async Task Letter_OfAnotherTenant_IsNotThere()
    {
        (_, DeadLetter letter) = await FailAsync("t1");

        Assert.Null(await Stores.DeadLetters.FindAsync("t2", letter.Id));
        Assert.Empty(await Stores.DeadLetters.ListAsync("t2", default, null, 10));
        Assert.False(await Stores.DeadLetters.MoveAsync(letter with { TenantId = "t2", Status = DeadLetterStatus.Resolved }, DeadLetterStatus.Open, "x", Data));
        Assert.Equal(letter, await Stores.DeadLetters.FindAsync("t1", letter.Id));
    }

    [Fact]
    public async Task Move_OfManyCallers_SucceedsOnce_AndIsInTheLog()
    {
        (NewRun run, DeadLetter letter) = await FailAsync("t1");
        DeadLetter closed = letter with { Status = DeadLetterStatus.Resolved, By = "usr", Note = "by hand", UpdatedAt = At.AddHours(1) };

        bool[] moved = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Stores.DeadLetters.MoveAsync(closed, DeadLetterStatus.Open, "compensation.resolved", Data)));

        Assert.Single(moved, m => m);
        Assert.Equal(closed, await Stores.DeadLetters.FindAsync("t1", letter.Id));
        RunEvent told = (await Stores.Runs.EventsAsync("t1", run.Record.Id, 0, 10))[^1];
        Assert.Equal((4, "compensation.resolved", At.AddHours(1)), (told.Seq, told.Type, told.At));
        Assert.Equal(0, await Stores.DeadLetters.CountOpenAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task EndOfARetry_ClosesTheLetterOrOpensIt(bool undone)
    {
        (_, DeadLetter letter) = await FailAsync("t1");
        NewRun retry = RunSamples.Run("t1");
        await Stores.Runs.AcceptAsync(retry);
        DeadLetter retrying = letter with { Status = DeadLetterStatus.Retrying, Retries = 1, RetryRunId = retry.Record.Id, By = "usr", UpdatedAt = At.AddHours(1) };
        Assert.True(await Stores.DeadLetters.MoveAsync(retrying, DeadLetterStatus.Open, "compensation.retried", Data));
        RunRecord end = retry.Record with { Surface = RunInput.CompensationSurface, Status = undone ? RunStatus.Completed : RunStatus.Failed, Error = undone ? null : new RunError(422, "again", "It failed again."), EndedAt = At.AddHours(2) };

        await Stores.Runs.AppendAsync(new RunWrite { Run = retry.Record, Events = [RunSamples.Event(3, "c")], End = end, UndoAttempts = 2 });

        DeadLetter now = (await Stores.DeadLetters.FindAsync("t1", letter.Id))!;
        Assert.Equal(undone ? (DeadLetterStatus.Resolved, "tool_failed", letter.Message) : (DeadLetterStatus.Open, "again", "It failed again."), (now.Status, now.Code, now.Message));
        Assert.Equal((5, At.AddHours(2), 1), (now.Attempts, now.UpdatedAt, now.Retries));
    }

    [Fact]
    public async Task Reopen_TakesBackWhatWasPromisedLongAgoAndNeverBegun()
    {
        (_, DeadLetter lost) = await FailAsync("t1");
        (_, DeadLetter fresh) = await FailAsync("t2");
        (NewRun begun, DeadLetter working) = await FailAsync("t1");
        foreach ((DeadLetter letter, string run, DateTimeOffset at) in new[] { (lost, "run_none", At), (fresh, "run_none", At.AddMinutes(5)), (working, begun.Record.Id, At) })
            Assert.True(await Stores.DeadLetters.MoveAsync(letter with { Status = DeadLetterStatus.Retrying, RetryRunId = run, UpdatedAt = at }, DeadLetterStatus.Open, "compensation.retried", Data));

        Assert.Equal(1, await Stores.DeadLetters.ReopenAsync(At.AddMinutes(2)));

        Assert.Equal((DeadLetterStatus.Open, DeadLetterStatus.Retrying, DeadLetterStatus.Retrying),
            ((await Stores.DeadLetters.FindAsync("t1", lost.Id))!.Status, (await Stores.DeadLetters.FindAsync("t2", fresh.Id))!.Status, (await Stores.DeadLetters.FindAsync("t1", working.Id))!.Status));
    }

    private async Task<(NewRun, DeadLetter)> FailAsync(string tenant)
    {
        NewRun run = RunSamples.Run(tenant);
        await Stores.Runs.AcceptAsync(run);
        var letter = new DeadLetter
        {
            Id = Ids.New("cdl", At), TenantId = tenant, RunId = run.Record.Id, WorkflowId = "wfl_1", Workflow = "flow", WorkflowVersion = 3, Path = "/pay", UndoPath = "/pay/refund", Kind = "tool",
            Subject = """{"tool":"refund"}""", Code = "tool_failed", Message = "No.", Attempts = 3, CreatedAt = At, UpdatedAt = At,
        };
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "compensation.failed")], DeadLetter = letter });
        return (run, letter);
    }
}

[Trait("Database", "once")]
public sealed class SqliteDeadLetterStoreTests : DeadLetterStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

[Trait("Database", "once")]
public sealed class PostgresDeadLetterStoreTests : DeadLetterStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
