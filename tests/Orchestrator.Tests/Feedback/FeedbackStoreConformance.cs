using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Feedback;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Feedback;

/// <summary>What every store of feedback keeps.</summary>
public abstract class FeedbackStoreConformance : StoreTests
{
    [Fact]
    public async Task Record_SecondTimeByTheSameAuthor_ReplacesAndTellsAgain()
    {
        (NewRun run, string message) = await AnswerAsync();

        FeedbackView first = (await Stores.Feedback.RecordAsync("t1", message, "usr_1", "usr_1", new FeedbackRequest(1, null, null)))!;
        FeedbackView second = (await Stores.Feedback.RecordAsync("t1", message, "usr_1", "usr_1", new FeedbackRequest(-1, 2, "no")))!;
        await Stores.Feedback.RecordAsync("t1", message, "usr_2", null, new FeedbackRequest(1, 5, null));

        Assert.Equal((first.Id, first.CreatedAt), (second.Id, second.CreatedAt));
        Assert.Equal((run.Record.Id, run.Record.ConversationId, "helper", message), (second.RunId, second.ConversationId, second.Agent, second.MessageId));
        Assert.Equal(((int?)-1, (int?)2, "no"), (second.Rating, second.Score, second.Comment));
        Assert.Equal(2, (await Stores.Feedback.ListAsync("t1", default, null, 10)).Count);
        Assert.Equal(3, (await Stores.OutboxAsync()).Count(s => s == "feedback.recorded"));
    }

    [Fact]
    public async Task Record_OnWhatIsNoAnswerOfTheTenant_IsRefused()
    {
        (NewRun run, string message) = await AnswerAsync();
        var request = new FeedbackRequest(1, null, null);

        Assert.Null(await Stores.Feedback.RecordAsync("t2", message, "a", null, request));
        Assert.Null(await Stores.Feedback.RecordAsync("t1", "msg_none", "a", null, request));
        Assert.Null(await Stores.Feedback.RecordAsync("t1", run.Messages[0].Id, "a", null, request));
        Assert.Empty(await Stores.Feedback.ListAsync("t1", default, null, 10));
        Assert.Empty(await Stores.OutboxAsync());
    }

    [Fact]
    public async Task List_IsOfTheTenantFilteredAndPaged()
    {
        (NewRun run, string message) = await AnswerAsync();
        (_, string other) = await AnswerAsync();
        for (int i = 0; i < 3; i++) await Stores.Feedback.RecordAsync("t1", message, $"a{i}", null, new FeedbackRequest(i == 0 ? -1 : 1, null, null));
        await Stores.Feedback.RecordAsync("t1", other, "a", null, new FeedbackRequest(1, null, null));

        IReadOnlyList<FeedbackView> all = await Stores.Feedback.ListAsync("t1", default, null, 10);
        Assert.Equal(all.Select(f => f.Id).OrderDescending(StringComparer.Ordinal), all.Select(f => f.Id));
        Assert.Equal(4, all.Count);
        Assert.Equal(all.Skip(2).Take(1).Select(f => f.Id), (await Stores.Feedback.ListAsync("t1", default, all[1].Id, 1)).Select(f => f.Id));
        Assert.Single(await Stores.Feedback.ListAsync("t1", new FeedbackFilter(null, -1, null, null), null, 10));
        Assert.Equal(3, (await Stores.Feedback.ListAsync("t1", new FeedbackFilter("helper", null, run.Record.ConversationId, message), null, 10)).Count);
        Assert.Empty(await Stores.Feedback.ListAsync("t2", default, null, 10));
    }

    /// <summary>A run with an answer, and the answer's id.</summary>
    private async Task<(NewRun Run, string Message)> AnswerAsync()
    {
        NewRun run = RunSamples.Run("t1");
        await Stores.Runs.AcceptAsync(run);
        string message = Ids.New("msg", RunSamples.At);
        await Stores.Runs.AppendAsync(new RunWrite
        {
            Run = run.Record,
            Events = [RunSamples.Event(3, "x")],
            Messages = [new NewMessage(message, "assistant", true, Encoding.UTF8.GetBytes("\"answer\""), RunSamples.At)],
        });
        return (run, message);
    }
}

[Trait("Database", "once")]
public sealed class SqliteFeedbackStoreTests : FeedbackStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}
