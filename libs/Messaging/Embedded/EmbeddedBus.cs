using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Messaging.Embedded;

/// <summary>The event bus in one process: a durable log in SQLite, read by consumers that keep their own positions.</summary>
internal sealed class EmbeddedBus([FromKeyedServices(EmbeddedBus.Service)] SqliteDatabase database) : IEventBus
{
    /// <summary>Name of the database.</summary>
    public const string Service = "events";

    private readonly Lock _lock = new();
    private TaskCompletionSource _published = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes at the next publication. Take it before reading, so that none is missed.</summary>
    public Task NextPublication
    {
        get { lock (_lock) return _published.Task; }
    }

    public async Task PublishAsync(IReadOnlyList<EventEnvelope> events, CancellationToken cancellationToken = default)
    {
        if (events.Count == 0) return;
        cancellationToken.ThrowIfCancellationRequested();
        await database.Writer.WriteAsync(session =>
        {
            SqliteStatement insert = session.Prepare(
                "INSERT OR IGNORE INTO events (id, subject, source, tenant_id, ordering_key, time, trace_parent, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
            foreach (EventEnvelope e in events)
            {
                insert.Bind(1, e.Id).Bind(2, e.Subject).Bind(3, e.Source).Bind(4, e.TenantId).Bind(5, e.OrderingKey).Bind(6, e.Time).Bind(7, e.TraceParent)
                    .BindBlob(8, e.Data.Span).Execute();
            }
        });
        TaskCompletionSource published;
        lock (_lock)
        {
            published = _published;
            _published = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
        published.SetResult();
    }
}
