using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Messaging.Embedded;

/// <summary>The operator's work on the log, also from another process than the one that serves.</summary>
internal sealed class EmbeddedEventOperations([FromKeyedServices(EmbeddedBus.Service)] SqliteDatabase database, EventLog log, IEventBus bus, TimeProvider time) : IEventOperations
{
    private const int MaxBatch = 256;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(250);

    public async IAsyncEnumerable<EventEnvelope> TailAsync(string filter, bool fromStart, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long position = fromStart ? 0 : log.End();
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using EventLog.Batch batch = log.Read(position, filter, MaxBatch);
            foreach (EventEnvelope e in batch.Events) yield return e;
            if (batch.Position == position) await Task.Delay(Poll, time, cancellationToken);
            position = batch.Position;
        }
    }

    public Task<IReadOnlyList<DeadLetter>> ListDeadAsync(string? consumer, long after, int limit, CancellationToken cancellationToken) =>
        Task.FromResult(database.Read<IReadOnlyList<DeadLetter>>(session =>
        {
            SqliteStatement rows = session
                .Prepare("SELECT seq, consumer, event, error, attempts, at FROM dead_letters WHERE seq > ?1 AND (?2 IS NULL OR consumer = ?2) ORDER BY seq LIMIT ?3")
                .Bind(1, after).Bind(2, consumer).Bind(3, limit);
            var found = new List<DeadLetter>();
            while (rows.Step()) found.Add(Read(rows));
            return found;
        }));

    public async Task<bool> ReplayAsync(long seq, CancellationToken cancellationToken)
    {
        DeadLetter? letter = database.Read(session =>
        {
            SqliteStatement row = session.Prepare("SELECT seq, consumer, event, error, attempts, at FROM dead_letters WHERE seq = ?1").Bind(1, seq);
            DeadLetter? found = row.Step() ? Read(row) : null;
            row.Reset();
            return found;
        });
        if (letter is null) return false;
        await bus.PublishAsync([letter.Event with { Id = $"{letter.Event.Id}.replay-{seq}" }], cancellationToken);
        return await DropAsync(seq, cancellationToken);
    }

    public Task<bool> DropAsync(long seq, CancellationToken cancellationToken) =>
        database.Writer.WriteAsync(session => session.Prepare("DELETE FROM dead_letters WHERE seq = ?1").Bind(1, seq).Execute() == 1);

    private static DeadLetter Read(SqliteStatement row)
    {
        StoredEvent stored = JsonSerializer.Deserialize(row.Bytes(2), StoredEventJson.Default.StoredEvent)
            ?? throw new JsonException($"Dead letter {row.Int64(0)} holds no event.");
        return new DeadLetter(row.Int64(0), row.Text(1), stored.ToEvent(), row.Text(3), (int)row.Int64(4), row.Time(5));
    }
}
