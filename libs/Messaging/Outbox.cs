using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Messaging;

/// <summary>
/// The transactional outbox of a service's database: an event is written in the transaction that changes the state and
/// published by a relay afterwards, so that state and event leave together or not at all. The service's migrations create
/// the table: <code>CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, subject TEXT NOT NULL,
/// source TEXT NOT NULL, tenant_id TEXT, ordering_key TEXT, time INTEGER NOT NULL, trace_parent TEXT, data BLOB NOT NULL);</code>
/// </summary>
public static class Outbox
{
    /// <summary>Adds an event inside the session's transaction. The relay finds it after the commit.</summary>
    public static void Add(SqliteSession session, EventEnvelope e) => session
        .Prepare("INSERT INTO outbox (id, subject, source, tenant_id, ordering_key, time, trace_parent, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        .Bind(1, e.Id).Bind(2, e.Subject).Bind(3, e.Source).Bind(4, e.TenantId).Bind(5, e.OrderingKey).Bind(6, e.Time).Bind(7, e.TraceParent)
        .BindBlob(8, e.Data.Span).Execute();
}
