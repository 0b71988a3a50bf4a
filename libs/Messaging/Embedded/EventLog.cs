using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Messaging.Embedded;

/// <summary>Reading side of the embedded log: events after a position, the positions, and the dead letters.</summary>
internal sealed class EventLog([FromKeyedServices(EmbeddedBus.Service)] SqliteDatabase database, TimeProvider time)
{
    // How far one read looks for matching events, so that a consumer of a rare subject moves past the others.
    private const int ReadAhead = 2048;

    // A consumer that is far behind must not read itself full.
    private const int ReadBytes = 4 * 1024 * 1024;

    /// <summary>Events whose data lies in pooled memory until the batch is disposed of.</summary>
    public sealed class Batch(long position) : IDisposable
    {
        private readonly List<byte[]> _rented = [];

        public List<EventEnvelope> Events { get; } = [];

        /// <summary>The position that was looked through.</summary>
        public long Position { get; set; } = position;

        public ReadOnlyMemory<byte> Copy(ReadOnlySpan<byte> data)
        {
            byte[] bytes = ArrayPool<byte>.Shared.Rent(data.Length);
            _rented.Add(bytes);
            data.CopyTo(bytes);
            return bytes.AsMemory(0, data.Length);
        }

        public void Dispose()
        {
            foreach (byte[] bytes in _rented) ArrayPool<byte>.Shared.Return(bytes);
            _rented.Clear();
        }
    }

    /// <summary>Matching events after <paramref name="position"/>, until there are <paramref name="max"/> or <see cref="ReadBytes"/> of them.</summary>
    public Batch Read(long position, string filter, int max) => database.Read(session =>
    {
        var batch = new Batch(position);
        long bytes = 0;
        SqliteStatement rows = session
            .Prepare("SELECT seq, id, subject, source, tenant_id, ordering_key, time, trace_parent, data FROM events WHERE seq > ?1 ORDER BY seq LIMIT ?2")
            .Bind(1, position).Bind(2, ReadAhead);
        while (batch.Events.Count < max && bytes < ReadBytes && rows.Step())
        {
            batch.Position = rows.Int64(0);
            if (!Subjects.Matches(filter, rows.Text(2))) continue;
            ReadOnlySpan<byte> data = rows.Bytes(8);
            bytes += data.Length;
            batch.Events.Add(new EventEnvelope
            {
                Id = rows.Text(1),
                Subject = rows.Text(2),
                Source = rows.Text(3),
                TenantId = rows.TextOrNull(4),
                OrderingKey = rows.TextOrNull(5),
                Time = rows.Time(6),
                TraceParent = rows.TextOrNull(7),
                Data = batch.Copy(data),
            });
        }
        rows.Reset();
        return batch;
    });

    /// <summary>The position of the newest event.</summary>
    public long End() => database.Read(session =>
    {
        SqliteStatement row = session.Prepare("/* all tenants */ SELECT coalesce(max(seq), 0) FROM events");
        row.Step();
        long end = row.Int64(0);
        row.Reset();
        return end;
    });

    /// <summary>The consumer's position; a consumer that is new starts at the beginning of what is kept.</summary>
    public long Position(string consumer) => database.Read(session =>
    {
        SqliteStatement row = session.Prepare("SELECT position FROM consumers WHERE name = ?1").Bind(1, consumer);
        long position = row.Step() ? row.Int64(0) : 0;
        row.Reset();
        return position;
    });

    public Task AdvanceAsync(string consumer, long position) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("INSERT INTO consumers (name, position) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET position = excluded.position")
            .Bind(1, consumer).Bind(2, position).Execute();
    });

    /// <summary>Puts an event aside for the operator, with why.</summary>
    public Task DeadLetterAsync(string consumer, EventEnvelope e, string error, int attempts) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("INSERT OR IGNORE INTO dead_letters (consumer, event_id, subject, event, error, attempts, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
            .Bind(1, consumer).Bind(2, e.Id).Bind(3, e.Subject).BindBlob(4, JsonSerializer.SerializeToUtf8Bytes(StoredEvent.Of(e), StoredEventJson.Default.StoredEvent))
            .Bind(5, error.Length > 2000 ? error[..2000] : error).Bind(6, attempts).Bind(7, time.GetUtcNow()).Execute();
    });

    public long DeadLetterCount() => database.Read(session =>
    {
        SqliteStatement row = session.Prepare("SELECT count(*) FROM dead_letters");
        row.Step();
        long count = row.Int64(0);
        row.Reset();
        return count;
    });

    /// <summary>How many events lie after a position, and the time of the oldest of them.</summary>
    public (long Count, DateTimeOffset? Oldest) Lag(long position) => database.Read(session =>
    {
        SqliteStatement row = session.Prepare("/* all tenants */ SELECT count(*), min(time) FROM events WHERE seq > ?1").Bind(1, position);
        row.Step();
        (long, DateTimeOffset?) lag = (row.Int64(0), row.TimeOrNull(1));
        row.Reset();
        return lag;
    });

    /// <summary>Deletes up to <paramref name="batch"/> old events that every named consumer has passed; returns how many.</summary>
    public Task<int> TrimAsync(IReadOnlyCollection<string> consumers, TimeSpan retention, int batch)
    {
        long passed = consumers.Count == 0 ? long.MaxValue : consumers.Min(Position);
        DateTimeOffset before = time.GetUtcNow() - retention;
        return database.Writer.WriteAsync(session => session
            .Prepare("/* all tenants */ DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= ?1 AND time < ?2 ORDER BY seq LIMIT ?3)")
            .Bind(1, passed).Bind(2, before).Bind(3, batch).Execute());
    }
}
