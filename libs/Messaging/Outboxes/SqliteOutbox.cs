using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Messaging.Outboxes;

/// <summary>The outbox in a SQLite file, which one process has for itself.</summary>
internal sealed class SqliteOutbox(SqliteDatabase database) : IOutboxStore
{
    public string Service => database.Service;

    public async Task<int> RelayAsync(int max, Func<IReadOnlyList<EventEnvelope>, Task> publish)
    {
        (List<EventEnvelope> events, long last) = database.Read(session => Read(session, max));
        if (events.Count == 0) return 0;
        await publish(events);
        // A crash here publishes them again at the next start; the bus drops ids it knows.
        await database.Writer.WriteAsync(session => { session.Prepare("/* all tenants */ DELETE FROM outbox WHERE seq <= ?1").Bind(1, last).Execute(); });
        return events.Count;
    }

    private static (List<EventEnvelope> Events, long Last) Read(SqliteSession session, int max)
    {
        var events = new List<EventEnvelope>();
        long last = 0;
        SqliteStatement rows = session
            .Prepare("SELECT seq, id, subject, source, tenant_id, ordering_key, time, trace_parent, data FROM outbox ORDER BY seq LIMIT ?1").Bind(1, max);
        while (rows.Step())
        {
            last = rows.Int64(0);
            events.Add(new EventEnvelope
            {
                Id = rows.Text(1),
                Subject = rows.Text(2),
                Source = rows.Text(3),
                TenantId = rows.TextOrNull(4),
                OrderingKey = rows.TextOrNull(5),
                Time = rows.Time(6),
                TraceParent = rows.TextOrNull(7),
                Data = rows.Bytes(8).ToArray(),
            });
        }
        return (events, last);
    }
}
