using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Conversations;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tests.Support;

namespace MultiAgent.Orchestrator.Tests.Conversations;

/// <summary>What every store of conversations keeps.</summary>
public abstract class ConversationStoreConformance : StoreTests
{
    private static readonly DateTimeOffset At = RunSamples.At;

    [Fact]
    public async Task Conversation_FromMakingToDeletion_IsWhatWasWritten()
    {
        ConversationRecord made = Conversation("one");
        await Stores.Conversations.CreateAsync("t1", made, "key_1");

        Assert.Equal(made, await Stores.Conversations.FindAsync("t1", made.Id));
        Assert.True(await Stores.Conversations.RenameAsync("t1", made.Id, "two", At.AddMinutes(1)));
        Assert.Equal(made with { Title = "two", UpdatedAt = At.AddMinutes(1) }, await Stores.Conversations.FindAsync("t1", made.Id));
        Assert.Empty((await Stores.Conversations.DeleteAsync("t1", made.Id, At))!);
        Assert.Null(await Stores.Conversations.FindAsync("t1", made.Id));
        Assert.Null(await Stores.Conversations.DeleteAsync("t1", made.Id, At));
        Assert.False(await Stores.Conversations.RenameAsync("t1", made.Id, "three", At));
        Assert.Empty(await Stores.Conversations.ListAsync("t1", null, null, null, 10));
    }

    [Fact]
    public async Task Conversation_OfAnotherTenant_IsNotThere()
    {
        ConversationRecord made = Conversation("one");
        await Stores.Conversations.CreateAsync("t1", made, null);
        await Stores.Runs.AcceptAsync(RunSamples.Run("t1", made.Id));

        Assert.Null(await Stores.Conversations.FindAsync("t2", made.Id));
        Assert.Empty(await Stores.Conversations.ListAsync("t2", null, null, null, 10));
        Assert.False(await Stores.Conversations.RenameAsync("t2", made.Id, "stolen", At));
        Assert.Empty(await Stores.Conversations.MessagesAsync("t2", made.Id, true, 0, 10));
        Assert.Null(await Stores.Conversations.DeleteAsync("t2", made.Id, At));
        Assert.Equal("one", (await Stores.Conversations.FindAsync("t1", made.Id))!.Title);
        Assert.Single(await Stores.Conversations.MessagesAsync("t1", made.Id, true, 0, 10));
    }

    [Fact]
    public async Task List_IsNewestFirstFilteredAndPaged()
    {
        var ids = new List<string>();
        for (int i = 0; i < 5; i++)
        {
            ConversationRecord made = Conversation($"c{i}", i % 2 == 0 ? "even" : "odd");
            await Stores.Conversations.CreateAsync("t1", made, null);
            ids.Add(made.Id);
        }
        ids.Sort((a, b) => string.CompareOrdinal(b, a));

        Assert.Equal(ids, (await Stores.Conversations.ListAsync("t1", null, null, null, 10)).Select(c => c.Id));
        Assert.Equal(ids[2..4], (await Stores.Conversations.ListAsync("t1", null, null, ids[1], 2)).Select(c => c.Id));
        Assert.Equal(3, (await Stores.Conversations.ListAsync("t1", "even", null, null, 10)).Count);
    }

    [Fact]
    public async Task Messages_AreInOrderPagedAndWithoutToolsUnlessAskedFor()
    {
        NewRun run = RunSamples.Run("t1", text: "one");
        await Stores.Runs.AcceptAsync(run);
        string conversation = run.Record.ConversationId!;
        await Stores.Runs.AppendAsync(new RunWrite
        {
            Run = run.Record,
            Events = [RunSamples.Event(3, "x")],
            Messages = [Message("assistant", false, "call"), Message("tool", false, "result"), Message("assistant", true, "two")],
        });

        Assert.Equal(["\"one\"", "two"], await TextsAsync(conversation, withTools: false));
        Assert.Equal(["\"one\"", "call", "result", "two"], await TextsAsync(conversation, withTools: true));
        IReadOnlyList<MessageRecord> first = await Stores.Conversations.MessagesAsync("t1", conversation, true, 0, 2);
        IReadOnlyList<MessageRecord> rest = await Stores.Conversations.MessagesAsync("t1", conversation, true, first[^1].Position, 10);
        Assert.Equal((2, 2), (first.Count, rest.Count));
        Assert.Equal((run.Record.Id, "user", At), (first[0].RunId, first[0].Role, first[0].CreatedAt));
    }

    [Fact]
    public async Task Delete_WithAnActiveRun_NamesItAndTakesNoMoreMessages()
    {
        NewRun run = RunSamples.Run("t1");
        await Stores.Runs.AcceptAsync(run);
        string conversation = run.Record.ConversationId!;

        Assert.Equal([run.Record.Id], await Stores.Conversations.DeleteAsync("t1", conversation, At));
        await Stores.Runs.AppendAsync(new RunWrite { Run = run.Record, Events = [RunSamples.Event(3, "x")], Messages = [Message("assistant", true, "late")] });

        Assert.Empty(await Stores.Conversations.MessagesAsync("t1", conversation, true, 0, 10));
        Assert.Equal(3, (await Stores.Runs.EventsAsync("t1", run.Record.Id, 0, 10)).Count);
    }

    private async Task<string[]> TextsAsync(string conversation, bool withTools) =>
        [.. (await Stores.Conversations.MessagesAsync("t1", conversation, withTools, 0, 10)).Select(m => Encoding.UTF8.GetString(m.Wire))];

    private static NewMessage Message(string role, bool visible, string text) => new(Ids.New("msg", At), role, visible, Encoding.UTF8.GetBytes(text), At);

    private static ConversationRecord Conversation(string title, string? agent = "helper") =>
        new() { Id = Ids.New("conv", At), Agent = agent, Title = title, UserId = "usr", Metadata = "{\"a\":\"b\"}", CreatedAt = At, UpdatedAt = At };
}

[Trait("Database", "once")]
public sealed class SqliteConversationStoreTests : ConversationStoreConformance
{
    private protected override Task<IStores> OpenAsync() => Task.FromResult<IStores>(new SqliteStores());
}
