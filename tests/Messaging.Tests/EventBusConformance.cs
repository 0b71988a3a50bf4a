using System.Collections.Concurrent;
using System.Text;
using MultiAgent.Contracts.Events;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Messaging.Tests;

/// <summary>What every event bus promises; each implementation derives from it.</summary>
public abstract class EventBusConformance
{
    /// <summary>Starts a bus with consumers on storage that <see cref="StopAsync"/> leaves in place for the next start.</summary>
    protected abstract Task<IEventBus> StartAsync(params IEventConsumer[] consumers);

    protected abstract Task StopAsync();

    /// <summary>The operator's side of the bus that was started.</summary>
    protected abstract IEventOperations Operations { get; }

    [Fact]
    public async Task Publish_ToMatchingConsumer_DeliversInOrderWithAllAttributes()
    {
        var consumer = new Recorder("c1", "orders.>");
        IEventBus bus = await StartAsync(consumer);
        EventEnvelope[] sent = [.. Enumerable.Range(0, 50).Select(i => Event($"e{i}", "orders.placed", i))];
        await bus.PublishAsync(sent);
        await Eventually.TrueAsync(() => consumer.Seen.Count == 50, "50 events");
        Assert.Equal(sent.Select(e => e.Id), consumer.Seen.Select(e => e.Id));
        EventEnvelope first = consumer.Seen.First();
        Assert.Equal("ten_1", first.TenantId);
        Assert.Equal("key", first.OrderingKey);
        Assert.Equal("test", first.Source);
        Assert.Equal("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", first.TraceParent);
        Assert.Equal("{\"n\":0}", Encoding.UTF8.GetString(first.Data.Span));
    }

    [Fact]
    public async Task Publish_SameIdTwice_DeliversOnce()
    {
        var consumer = new Recorder("c1", "a.b");
        IEventBus bus = await StartAsync(consumer);
        await bus.PublishAsync([Event("same", "a.b", 1)]);
        await bus.PublishAsync([Event("same", "a.b", 1), Event("last", "a.b", 2)]);
        await Eventually.TrueAsync(() => consumer.Seen.Any(e => e.Id == "last"), "the last event");
        Assert.Single(consumer.Seen, e => e.Id == "same");
    }

    [Fact]
    public async Task Publish_OtherSubject_IsNotDelivered()
    {
        var consumer = new Recorder("c1", "a.*");
        IEventBus bus = await StartAsync(consumer);
        await bus.PublishAsync([Event("1", "b.x", 1), Event("2", "a.x.y", 1), Event("3", "a.x", 1)]);
        await Eventually.TrueAsync(() => consumer.Seen.Any(e => e.Id == "3"), "the matching event");
        Assert.Equal(["3"], consumer.Seen.Select(e => e.Id));
    }

    [Fact]
    public async Task Restart_WithPendingEvents_DeliversWhatWasNotAcknowledged()
    {
        var first = new Recorder("c1", "a.>");
        IEventBus bus = await StartAsync(first);
        await bus.PublishAsync([Event("1", "a.x", 1)]);
        await Eventually.TrueAsync(() => first.Seen.Count == 1, "the first event");
        await StopAsync();

        bus = await StartAsync();
        await bus.PublishAsync([Event("2", "a.x", 2)]);
        await StopAsync();

        var second = new Recorder("c1", "a.>");
        await StartAsync(second);
        await Eventually.TrueAsync(() => second.Seen.Any(e => e.Id == "2"), "the event published while the consumer was away");
        // At least once: the first one may come again if the stop was faster than its acknowledgement.
        Assert.InRange(second.Seen.Count, 1, 2);
    }

    [Fact]
    public async Task Consumer_FailingOnOneEvent_GetsTheOthersAndTheBadOneIsDeadLettered()
    {
        var consumer = new Recorder("c1", "a.>") { Fails = e => e.Id == "bad" };
        IEventBus bus = await StartAsync(consumer);
        await bus.PublishAsync([Event("1", "a.x", 1), Event("bad", "a.x", 2), Event("3", "a.x", 3)]);
        await Eventually.TrueAsync(() => consumer.Seen.Any(e => e.Id == "3"), "the event after the bad one");
        await Eventually.TrueAsync(async () => (await DeadLettersAsync("c1")).Contains("bad"), "the dead letter");
        Assert.Contains(consumer.Seen, e => e.Id == "1");
        Assert.Equal(["bad"], await DeadLettersAsync("c1"));
    }

    [Fact]
    public async Task Consumer_FailingAtFirst_GetsTheEventAgain()
    {
        int failures = 2;
        var consumer = new Recorder("c1", "a.>") { Fails = _ => Interlocked.Decrement(ref failures) >= 0 };
        IEventBus bus = await StartAsync(consumer);
        await bus.PublishAsync([Event("1", "a.x", 1)]);
        await Eventually.TrueAsync(() => consumer.Seen.Count == 1, "the redelivery");
        Assert.Empty(await DeadLettersAsync("c1"));
    }

    [Fact]
    public async Task TwoConsumers_OfOneSubject_BothGetEverything()
    {
        var one = new Recorder("one", "a.>");
        var two = new Recorder("two", ">");
        IEventBus bus = await StartAsync(one, two);
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i => bus.PublishAsync([Event($"{i}", "a.x", i)])));
        await Eventually.TrueAsync(() => one.Seen.Count == 20 && two.Seen.Count == 20, "20 events at both");
    }

    [Fact]
    public async Task DeadLetter_ThatIsReplayed_IsDeliveredAgainAndGone()
    {
        bool broken = true;
        var consumer = new Recorder("c1", "a.>") { Fails = _ => broken };
        IEventBus bus = await StartAsync(consumer);
        await bus.PublishAsync([Event("1", "a.x", 1), Event("2", "a.y", 2)]);
        await Eventually.TrueAsync(async () => (await DeadLettersAsync("c1")).Count == 2, "two dead letters");
        IReadOnlyList<DeadLetter> letters = await Operations.ListDeadAsync(null, 0, 100, CancellationToken.None);
        DeadLetter first = letters.Single(l => l.Event.Id == "1"), second = letters.Single(l => l.Event.Id == "2");
        broken = false;

        Assert.Equal(("c1", "a.x", 4, "ten_1", "{\"n\":1}"), (first.Consumer, first.Event.Subject, first.Attempts, first.Event.TenantId, Encoding.UTF8.GetString(first.Event.Data.Span)));
        Assert.Contains("scripted failure", first.Error, StringComparison.Ordinal);
        Assert.Empty(await Operations.ListDeadAsync("another", 0, 100, CancellationToken.None));
        Assert.Equal([letters[1].Seq], (await Operations.ListDeadAsync(null, letters[0].Seq, 100, CancellationToken.None)).Select(l => l.Seq));

        Assert.True(await Operations.ReplayAsync(first.Seq, CancellationToken.None));
        await Eventually.TrueAsync(() => consumer.Seen.Count == 1, "the replayed event");
        Assert.True(await Operations.DropAsync(second.Seq, CancellationToken.None));

        Assert.Equal(("a.x", "key"), (consumer.Seen.Single().Subject, consumer.Seen.Single().OrderingKey));
        Assert.Empty(await DeadLettersAsync("c1"));
        Assert.False(await Operations.ReplayAsync(first.Seq, CancellationToken.None));
        Assert.False(await Operations.DropAsync(second.Seq, CancellationToken.None));
        Assert.False(await Operations.DropAsync(999, CancellationToken.None));
    }

    [Fact]
    public async Task Tail_WithAFilter_ShowsWhatIsPublished()
    {
        IEventBus bus = await StartAsync();
        await bus.PublishAsync([Event("1", "a.x", 1), Event("2", "b.x", 2)]);

        var kept = new List<string>();
        await foreach (EventEnvelope e in Operations.TailAsync("*.x", fromStart: true, CancellationToken.None))
        {
            kept.Add(e.Id);
            if (kept.Count == 2) await bus.PublishAsync([Event("3", "c.y", 3), Event("4", "c.x", 4)]);
            if (kept.Count == 3) break;
        }

        Assert.Equal(["1", "2", "4"], kept);
    }

    [Fact]
    public async Task Consumer_ThatAsksForOrder_GetsAKeysEventsInOrderThroughFailures()
    {
        int failures = 0;
        var consumer = new Recorder("c1", "a.>", ordered: true) { Fails = e => e.Id is "3" or "7" && Interlocked.Increment(ref failures) <= 2 };
        IEventBus bus = await StartAsync(consumer);
        await bus.PublishAsync([.. Enumerable.Range(0, 20).Select(i => Event($"{i}", "a.x", i))]);
        await Eventually.TrueAsync(() => consumer.Seen.Select(e => e.Id).Distinct().Count() == 20, "20 events");

        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"{i}"), consumer.Seen.Select(e => e.Id).Distinct());
    }

    protected static EventEnvelope Event(string id, string subject, int n) => new()
    {
        Id = id,
        Subject = subject,
        Source = "test",
        TenantId = "ten_1",
        OrderingKey = "key",
        Time = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000),
        TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        Data = Encoding.UTF8.GetBytes($"{{\"n\":{n}}}"),
    };

    private async Task<IReadOnlyList<string>> DeadLettersAsync(string consumer) =>
        [.. (await Operations.ListDeadAsync(consumer, 0, 100, CancellationToken.None)).Select(l => l.Event.Id)];

    protected sealed class Recorder(string name, string filter, bool ordered = false) : IEventConsumer
    {
        public string Name => name;

        public string Filter => filter;

        public bool Ordered => ordered;

        public ConcurrentQueue<EventEnvelope> Seen { get; } = new();

        public Func<EventEnvelope, bool> Fails { get; init; } = _ => false;

        public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
        {
            if (events.Any(Fails)) throw new InvalidOperationException("scripted failure");
            foreach (EventEnvelope e in events) Seen.Enqueue(e with { Data = e.Data.ToArray() });
            return Task.CompletedTask;
        }
    }
}
