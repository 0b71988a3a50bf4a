using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging.Spool;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Messaging.Tests;

public sealed class EventSpoolTests : IDisposable
{
    private readonly TempFolder _folder = new();

    [Fact]
    public async Task Append_FromManyThreads_PublishesEveryRecordOnceInBatches()
    {
        var usage = new Collector("usage", Subjects.UsageModelInference, "records");
        var journeys = new Collector("journeys", Subjects.JourneyRecorded, "changes");
        using IHost host = MessagingHost.Build(_folder.Path, usage, journeys);
        await host.StartAsync();
        IEventSpool spool = host.Services.GetRequiredService<IEventSpool>();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(t => Task.Run(() =>
        {
            for (int i = 0; i < 500; i++)
            {
                Assert.True(spool.Append(SpoolKind.Usage, Encoding.UTF8.GetBytes($"{{\"id\":\"u{t}-{i}\"}}")));
                Assert.True(spool.Append(SpoolKind.Journey, Encoding.UTF8.GetBytes($"{{\"id\":\"j{t}-{i}\"}}")));
            }
        })));
        await Eventually.TrueAsync(() => usage.Ids.Count == 4000 && journeys.Ids.Count == 4000, "all records");
        Assert.Equal(4000, usage.Ids.Distinct().Count());
        Assert.True(usage.Events < 1000, $"{usage.Events} events for 4000 records");
        await host.StopAsync();
    }

    [Fact]
    public void Append_ThenProcessDies_RecordsAreInTheFile()
    {
        // The area is never closed in an orderly way: what counts is what another mapping of the file sees.
        string path = Path.Combine(_folder.Path, "x.spool");
        var area = new SpoolArea(path, 1 << 20) { Sequence = 7 };
        Assert.True(area.TryAppend(SpoolKind.Usage, "{\"id\":\"1\"}"u8));
        File.Copy(path, path + ".copy");
        using var copy = new SpoolArea(path + ".copy", 1 << 20);
        var records = new List<string>();
        copy.Read((kind, record) => records.Add($"{kind}:{Encoding.UTF8.GetString(record)}"));
        Assert.Equal(["Usage:{\"id\":\"1\"}"], records);
        Assert.Equal(7, copy.Sequence);
        Assert.Equal(area.Id, copy.Id);
        area.Dispose();
    }

    [Fact]
    public async Task Start_AfterCrash_PublishesLeftRecordsOfBothAreasInOrder()
    {
        string spoolFolder = Directory.CreateDirectory(Path.Combine(_folder.Path, "spool")).FullName;
        using (var a = new SpoolArea(Path.Combine(spoolFolder, "a.spool"), 1 << 20) { Sequence = 4 })
        using (var b = new SpoolArea(Path.Combine(spoolFolder, "b.spool"), 1 << 20) { Sequence = 3 })
        {
            b.TryAppend(SpoolKind.Usage, "{\"id\":\"older\"}"u8);
            a.TryAppend(SpoolKind.Usage, "{\"id\":\"newer\"}"u8);
        }
        var usage = new Collector("usage", Subjects.UsageModelInference, "records");
        using IHost host = MessagingHost.Build(_folder.Path, usage);
        await host.StartAsync();
        await Eventually.TrueAsync(() => usage.Ids.Count == 2, "both records");
        Assert.Equal(["older", "newer"], usage.Ids);
        await host.StopAsync();
    }

    [Fact]
    public void Append_WhenFull_IsRefusedAndNothingIsOverwritten()
    {
        using var area = new SpoolArea(Path.Combine(_folder.Path, "x.spool"), 4096);
        byte[] record = new byte[1000];
        int appended = 0;
        while (area.TryAppend(SpoolKind.Usage, record)) appended++;
        Assert.Equal(4, appended);
        int read = 0;
        area.Read((_, _) => read++);
        Assert.Equal(4, read);
        area.Clear();
        Assert.True(area.IsEmpty);
        Assert.True(area.TryAppend(SpoolKind.Usage, record));
    }

    [Fact]
    public void Append_OfRequests_LeavesHalfOfTheSpoolToTheOthers()
    {
        using IHost host = MessagingHost.Build(_folder.Path);
        IEventSpool spool = host.Services.GetRequiredService<IEventSpool>();
        byte[] record = [.. "{\"id\":\""u8, .. Enumerable.Repeat((byte)'x', 10_000), .. "\"}"u8];
        // Nobody empties it: the host is not started.
        int requests = 0, usage = 0;
        while (spool.Append(SpoolKind.Request, record)) requests++;
        while (spool.Append(SpoolKind.Usage, record)) usage++;

        Assert.InRange(requests, 10, 10_000);
        Assert.InRange(usage, requests - 2, requests + 2);
        Assert.Equal(1, ((EventSpool)spool).Dropped);
    }

    [Fact]
    public void Open_DamagedFile_DoesNotReadBeyondItsEnd()
    {
        string path = Path.Combine(_folder.Path, "x.spool");
        using (var area = new SpoolArea(path, 4096)) area.TryAppend(SpoolKind.Usage, "{}"u8);
        byte[] bytes = File.ReadAllBytes(path);
        BitConverter.TryWriteBytes(bytes.AsSpan(64), int.MaxValue);
        File.WriteAllBytes(path, bytes);
        using var damaged = new SpoolArea(path, 4096);
        damaged.Read((_, _) => Assert.Fail("a record with an impossible length was read"));
    }

    public void Dispose() => _folder.Dispose();

    private sealed class Collector(string name, string filter, string member) : IEventConsumer
    {
        public int Events;

        public string Name => name;

        public string Filter => filter;

        public ConcurrentQueue<string> Ids { get; } = new();

        public Task HandleAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken)
        {
            foreach (EventEnvelope e in events)
            {
                Interlocked.Increment(ref Events);
                using JsonDocument document = JsonDocument.Parse(e.Data);
                foreach (JsonElement record in document.RootElement.GetProperty(member).EnumerateArray()) Ids.Enqueue(record.GetProperty("id").GetString()!);
            }
            return Task.CompletedTask;
        }
    }
}
