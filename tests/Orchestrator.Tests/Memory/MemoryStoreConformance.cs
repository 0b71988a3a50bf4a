using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Memory;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Memory;

/// <summary>What every store of facts keeps.</summary>
public abstract class MemoryStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = RunSamples.At;

    [Fact]
    public async Task Fact_FromWritingToForgetting_IsWhatWasWritten()
    {
        Fact fact = Fact("user:u1", "Likes tea") with { Agent = "helper", RunId = "run_1", ConversationId = "conv_1", Author = "usr_1" };

        Assert.Equal(fact, await Stores.Memories.RememberAsync("t1", fact, 10));
        Assert.Equal(fact, await Stores.Memories.FindAsync("t1", fact.Id));
        await Stores.Memories.UsedAsync("t1", [fact.Id], At.AddDays(1));
        Assert.Equal(fact with { UsedAt = At.AddDays(1), Uses = 1 }, Assert.Single(await Stores.Memories.OfAsync("t1", ["user:u1", "agent:helper"])));
        Assert.True(await Stores.Memories.ChangeAsync("t1", fact with { Text = "Likes coffee", UsedAt = At.AddDays(2) }));
        Assert.Equal("Likes coffee", (await Stores.Memories.FindAsync("t1", fact.Id))!.Text);
        Assert.True(await Stores.Memories.ForgetAsync("t1", fact.Id));
        Assert.False(await Stores.Memories.ForgetAsync("t1", fact.Id));
        Assert.False(await Stores.Memories.ChangeAsync("t1", fact));
    }

    [Fact]
    public async Task Fact_ToldAgain_IsKeptOnce_AlsoByManyAtOnce()
    {
        Fact[] kept = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Stores.Memories.RememberAsync("t1", Fact("user:u1", i % 2 == 0 ? "Likes  Tea" : "likes tea") with { UsedAt = At.AddHours(i) }, 10)));
        Fact other = await Stores.Memories.RememberAsync("t1", Fact("user:u2", "likes tea"), 10), second = await Stores.Memories.RememberAsync("t1", Fact("user:u1", "Is tall"), 10);

        Assert.Single(kept.Select(f => f.Id).Distinct());
        Assert.NotEqual(kept[0].Id, other.Id);
        Assert.Null(await Stores.Memories.ChangeAsync("t1", second with { Text = "LIKES TEA" }));
        Assert.Equal(At.AddHours(7), (await Stores.Memories.FindAsync("t1", kept[0].Id))!.UsedAt);
    }

    [Fact]
    public async Task Facts_BeyondTheMost_GoByDisuse()
    {
        for (int i = 0; i < 5; i++) await Stores.Memories.RememberAsync("t1", Fact("user:u1", $"Fact {i}") with { UsedAt = At.AddDays(i == 0 ? 9 : i) }, 3);
        await Stores.Memories.RememberAsync("t1", Fact("user:u2", "Fact 0"), 3);

        Assert.Equal(["Fact 0", "Fact 3", "Fact 4"], (await Stores.Memories.OfAsync("t1", ["user:u1"])).Select(f => f.Text).Order(StringComparer.Ordinal));
        Assert.Single(await Stores.Memories.OfAsync("t1", ["user:u2"]));
    }

    [Fact]
    public async Task Facts_OfAnotherTenant_AreNotThere()
    {
        Fact fact = await Stores.Memories.RememberAsync("t1", Fact("user:u1", "Secret"), 10);
        await Stores.Memories.RememberAsync("t2", Fact("user:u1", "Secret"), 10);

        Assert.Null(await Stores.Memories.FindAsync("t2", fact.Id));
        Assert.False(await Stores.Memories.ForgetAsync("t2", fact.Id));
        Assert.False(await Stores.Memories.ChangeAsync("t2", fact with { Text = "x" }));
        await Stores.Memories.UsedAsync("t2", [fact.Id], At.AddYears(1));
        Assert.Equal(1, await Stores.Memories.ForgetAllAsync("t2", "user:u1"));
        Assert.Equal(fact, Assert.Single(await Stores.Memories.ListAsync("t1", null, null, 10)));
        Assert.Empty(await Stores.Memories.ListAsync("t2", null, null, 10));
    }

    [Fact]
    public async Task Facts_AreListedPagedAndFade()
    {
        for (int i = 0; i < 4; i++) await Stores.Memories.RememberAsync("t1", Fact("user:u1", $"Fact {i}") with { Id = $"mem_{i}", UsedAt = At.AddDays(i) }, 10);
        await Stores.Memories.RememberAsync("t2", Fact("agent:a", "Old") with { UsedAt = At.AddDays(-1) }, 10);

        Assert.Equal(["mem_2", "mem_1"], (await Stores.Memories.ListAsync("t1", "user:u1", "mem_3", 2)).Select(f => f.Id));
        Assert.Equal(2, await Stores.Memories.ForgetUnusedAsync(At.AddDays(2), 2));
        Assert.Equal(1, await Stores.Memories.ForgetUnusedAsync(At.AddDays(2), 2));
        Assert.Equal(["mem_3", "mem_2"], (await Stores.Memories.ListAsync("t1", null, null, 10)).Select(f => f.Id));
    }

    private static Fact Fact(string subject, string text) => new() { Id = Ids.New("mem", At), Subject = subject, Text = text, CreatedAt = At, UsedAt = At };
}

[Trait("Database", "once")]
public sealed class SqliteMemoryStoreTests : MemoryStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

[Trait("Database", "once")]
public sealed class PostgresMemoryStoreTests : MemoryStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
