using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Conversations.Compaction;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Conversations.Compaction;

/// <summary>What every store of summaries keeps, and what histories make of it.</summary>
public abstract class SummaryStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = RunSamples.At;

    [Fact]
    public async Task Summary_StandsForTheMessagesBeforeIt()
    {
        (string conversation, string run, long[] positions) = await ConversationAsync();
        ConversationSummary first = Summary(conversation, positions[1], "first"), second = Summary(conversation, positions[2], "second");

        Assert.Null((await Stores.Runs.HistoryAsync("t1", conversation, "none", 10)).Summary);
        Assert.True(await Stores.Summaries.AddAsync("t1", first));
        Assert.True(await Stores.Summaries.AddAsync("t1", second));

        Assert.Equal(second, await Stores.Summaries.FindAsync("t1", conversation));
        StoredHistory history = await Stores.Runs.HistoryAsync("t1", conversation, "none", 10);
        Assert.Equal(("second", "\"m3\""), (history.Summary, string.Join(' ', history.Messages.Select(m => Encoding.UTF8.GetString(m.Wire)))));
        Assert.Equal([positions[3]], history.Messages.Select(m => m.Position));
        // The messages are all there.
        Assert.Equal(4, (await Stores.Conversations.MessagesAsync("t1", conversation, true, 0, 10)).Count);
        StoredHistory nothingLeft = await Stores.Runs.HistoryAsync("t1", conversation, run, 10);
        Assert.Equal(("second", 0), (nothingLeft.Summary, nothingLeft.Messages.Count));
    }

    [Fact]
    public async Task Summary_OfARun_IsWrittenWithItsEventAndNotPartOfItsOwnHistory()
    {
        (string conversation, _, long[] positions) = await ConversationAsync();
        NewRun next = RunSamples.Run("t1", conversation);
        await Stores.Runs.AcceptAsync(next);
        await Stores.Runs.AppendAsync(new RunWrite { Run = next.Record, Events = [RunSamples.Event(3, "context.compacted")], Summary = Summary(conversation, positions[2], "s") with { RunId = next.Record.Id } });

        StoredHistory own = await Stores.Runs.HistoryAsync("t1", conversation, next.Record.Id, 10), others = await Stores.Runs.HistoryAsync("t1", conversation, "none", 10);
        Assert.Equal((null, 4), (own.Summary, own.Messages.Count));
        Assert.Equal(("s", 2), (others.Summary, others.Messages.Count));
        // What is taken back takes its summary with it.
        await Stores.Runs.AppendAsync(new RunWrite { Run = next.Record, Events = [RunSamples.Event(4, "run.cancelled")], RemovesMessages = true, End = next.Record with { Status = RunStatus.Cancelled, EndedAt = At } });
        others = await Stores.Runs.HistoryAsync("t1", conversation, "none", 10);
        Assert.Equal((null, 4), (others.Summary, others.Messages.Count));
    }

    [Fact]
    public async Task Summary_OfAnotherTenantOrOfNothing_IsNotThere()
    {
        (string conversation, _, long[] positions) = await ConversationAsync();
        Assert.True(await Stores.Summaries.AddAsync("t1", Summary(conversation, positions[1], "secret")));

        Assert.Null(await Stores.Summaries.FindAsync("t2", conversation));
        Assert.Null((await Stores.Runs.HistoryAsync("t2", conversation, "none", 10)).Summary);
        Assert.False(await Stores.Summaries.AddAsync("t2", Summary(conversation, 1, "x")));
        Assert.False(await Stores.Summaries.AddAsync("t1", Summary("conv_none", 1, "x")));
        await Stores.Conversations.DeleteAsync("t1", conversation, At);
        Assert.Null(await Stores.Summaries.FindAsync("t1", conversation));
        Assert.False(await Stores.Summaries.AddAsync("t1", Summary(conversation, 1, "x")));
    }

    private static ConversationSummary Summary(string conversation, long through, string text) =>
        new() { Id = Ids.New("sum", At), ConversationId = conversation, RunId = "", Through = through, Text = text, Model = "fake/model", CreatedAt = At };

    private async Task<(string Conversation, string Run, long[] Positions)> ConversationAsync()
    {
        NewRun run = RunSamples.Run("t1", text: "m0");
        await Stores.Runs.AcceptAsync(run);
        RunWrite end = RunSamples.End(run);
        await Stores.Runs.AppendAsync(new RunWrite { Run = end.Run, Events = end.Events, End = end.End, Messages = [.. Enumerable.Range(1, 3).Select(i => new NewMessage(Ids.New("msg", At), "assistant", true, Encoding.UTF8.GetBytes($"\"m{i}\""), At))] });
        return (run.Record.ConversationId!, run.Record.Id, [.. (await Stores.Conversations.MessagesAsync("t1", run.Record.ConversationId!, true, 0, 10)).Select(m => m.Position)]);
    }
}

public sealed class SqliteSummaryStoreTests : SummaryStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}

public sealed class PostgresSummaryStoreTests : SummaryStoreConformance
{
    private protected override Task<IStores> OpenAsync() => PostgresStores.OpenAsync();
}
