using System.Text;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Blackboards;

/// <summary>What every store of blackboards keeps.</summary>
public abstract class BlackboardStoreConformance : StoreTests
{
    [Fact]
    public async Task Writes_OfManyAtOnce_AreNumberedWithoutGapsAndNoneIsLost()
    {
        string board = await RunAsync("t1");

        await Task.WhenAll(Enumerable.Range(0, 24).Select(i => Stores.Blackboards.WriteAsync(Write(board, $"k{i}", i % 2 == 0 ? "a" : "b", "1"), Sum)));

        IReadOnlyList<BlackboardWrite> all = await Stores.Blackboards.WritesAsync("t1", board, null, 0, 100);
        Assert.Equal(Enumerable.Range(1, 24).Select(i => (long)i), all.Select(w => w.Version));
        Assert.Equal(["a=12", "b=12"], (await Stores.Blackboards.CurrentAsync("t1", board)).Select(w => $"{w.Name}={Encoding.UTF8.GetString(w.Value)}"));
        Assert.Equal(all.Where(w => w.Name == "a" && w.Version > 5).Take(3).Select(w => w.Version), (await Stores.Blackboards.WritesAsync("t1", board, "a", 5, 3)).Select(w => w.Version));
        IReadOnlyList<BlackboardWrite> then = await Stores.Blackboards.CurrentAsync("t1", board, 5);
        Assert.Equal(5, then.Sum(w => int.Parse(Encoding.UTF8.GetString(w.Value), System.Globalization.CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task Write_UnderAKnownKey_GivesTheFirst_AndARefusedOneLeavesNothing()
    {
        string board = await RunAsync("t1");
        BlackboardWrite first = await Stores.Blackboards.WriteAsync(Write(board, "k", "a", "2") with { Agent = "helper", Path = "run:1:0" }, Sum);

        BlackboardWrite[] again = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Stores.Blackboards.WriteAsync(Write(board, "k", "a", "9"), Sum)));
        await Assert.ThrowsAsync<BlackboardException>(() => Stores.Blackboards.WriteAsync(Write(board, "other", "a", "9"), (_, _) => throw new BlackboardException("full", "no")));

        Assert.All(again, w => Assert.Equal(Told(first), Told(w)));
        Assert.Equal((1L, "helper", "run:1:0", "2", "1"), (first.Version, first.Agent, first.Path, Encoding.UTF8.GetString(first.Given), Encoding.UTF8.GetString(first.Value)));
        Assert.Equal(Told(first), Told(Assert.Single(await Stores.Blackboards.WritesAsync("t1", board, null, 0, 10))));
    }

    [Fact]
    public async Task Board_OfAnotherTenant_IsNotThere()
    {
        string board = await RunAsync("t1");
        await Stores.Blackboards.WriteAsync(Write(board, "k", "a", "2"), Sum);

        Assert.Empty(await Stores.Blackboards.CurrentAsync("t2", board));
        Assert.Empty(await Stores.Blackboards.WritesAsync("t2", board, null, 0, 10));
    }

    [Fact]
    public async Task Board_OfARunThatBeginsWithOne_HoldsIt()
    {
        NewRun run = RunSamples.Run("t1");
        BlackboardWrite given = Write(run.Record.Id, "k", "a", "3") with { Version = 7, Value = "[3]"u8.ToArray() };
        await Stores.Runs.AcceptAsync(new NewRun { Record = run.Record, Accepted = run.Accepted, Started = run.Started, CreateConversation = true, Lease = run.Lease, Board = [given] });

        Assert.Equal(Told(given), Told(Assert.Single(await Stores.Blackboards.CurrentAsync("t1", run.Record.Id))));
        Assert.Equal(8, (await Stores.Blackboards.WriteAsync(Write(run.Record.Id, "n", "b", "1"), Sum)).Version);
    }

    [Fact]
    public async Task Forget_OfOldBoards_LeavesThoseOfRunsThatWork()
    {
        NewRun active = RunSamples.Run("t1"), over = RunSamples.Run("t1");
        foreach (NewRun run in (NewRun[])[active, over])
        {
            await Stores.Runs.AcceptAsync(run);
            await Stores.Blackboards.WriteAsync(Write(run.Record.Id, "k", "a", "1"), Sum);
        }
        await Stores.Runs.AppendAsync(RunSamples.End(over));

        Assert.Equal(0, await Stores.Blackboards.ForgetAsync("run_0", 10));
        Assert.Equal(1, await Stores.Blackboards.ForgetAsync("run_z", 10));
        Assert.Single(await Stores.Blackboards.CurrentAsync("t1", active.Record.Id));
    }

    private async Task<string> RunAsync(string tenant)
    {
        NewRun run = RunSamples.Run(tenant);
        await Stores.Runs.AcceptAsync(run);
        return run.Record.Id;
    }

    private static BlackboardWrite Write(string board, string key, string name, string given) =>
        new() { TenantId = "t1", BoardRunId = board, Name = name, Key = key, RunId = board, Path = "/step", Given = Encoding.UTF8.GetBytes(given), At = RunSamples.At };

    private static byte[] Sum(BlackboardWrite? before, long writes) =>
        Encoding.UTF8.GetBytes((1 + (before is null ? 0 : int.Parse(Encoding.UTF8.GetString(before.Value), System.Globalization.CultureInfo.InvariantCulture))).ToString(System.Globalization.CultureInfo.InvariantCulture));

    private static string Told(BlackboardWrite w) => $"{w.BoardRunId} {w.Version} {w.Name} {w.Key} {w.RunId} {w.Path} {w.Agent} {Encoding.UTF8.GetString(w.Given)} {Encoding.UTF8.GetString(w.Value)} {w.At:O}";
}

public sealed class SqliteBlackboardStoreTests : BlackboardStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

public sealed class PostgresBlackboardStoreTests : BlackboardStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
