using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Messaging;

/// <summary>
/// The transactional outbox of a service's database: an event is written in the transaction that changes the state and
/// published by a relay afterwards, so that state and event leave together or not at all. The service's migrations create
/// its table <c>outbox</c> in both dialects.
/// </summary>
public static class Outbox
{
    /// <summary>Adds an event inside the session's transaction. The relay finds it after the commit.</summary>
    public static void Add(SqliteSession session, EventEnvelope e) => session
        .Prepare("INSERT INTO outbox (id, subject, source, tenant_id, ordering_key, time, trace_parent, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")
        .Bind(1, e.Id).Bind(2, e.Subject).Bind(3, e.Source).Bind(4, e.TenantId).Bind(5, e.OrderingKey).Bind(6, e.Time).Bind(7, e.TraceParent)
        .BindBlob(8, e.Data.Span).Execute();

    /// <summary>Adds an event to a batch for one of <paramref name="database"/>'s transactions; it must be of the batch's tenant.</summary>
    public static void Add(WriteBatch batch, PostgresDatabase database, EventEnvelope e) =>
        batch.Add(InsertInto(database.Schema), e.Id, e.Subject, e.Source, e.TenantId, e.OrderingKey, e.Time, e.TraceParent, e.Data);

    /// <summary>Adds an event inside the session's transaction; it must be of the session's tenant.</summary>
    public static Task AddAsync(PostgresSession session, PostgresDatabase database, EventEnvelope e, CancellationToken cancellationToken = default) =>
        session.Sql(InsertInto(database.Schema), e.Id, e.Subject, e.Source, e.TenantId, e.OrderingKey, e.Time, e.TraceParent, e.Data).ExecuteAsync(cancellationToken);

    /// <summary>Adds an event inside the context's transaction, in either dialect.</summary>
    public static Task AddAsync(ServiceDbContext context, EventEnvelope e, CancellationToken cancellationToken = default)
    {
        string? schema = context.Model.GetDefaultSchema();
        object time = schema is null ? e.Time.ToUnixTimeMilliseconds() : PostgresTime.Of(e.Time);
        // EF Core has a mapping for null, and none for DBNull.
        object?[] values = [e.Id, e.Subject, e.Source, e.TenantId, e.OrderingKey, time, e.TraceParent, e.Data.ToArray()];
        string sql = $"INSERT INTO {(schema is null ? "" : schema + ".")}outbox (id, subject, source, tenant_id, ordering_key, time, trace_parent, data) VALUES ({{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {{6}}, {{7}})";
        return context.Database.ExecuteSqlRawAsync(sql, values!, cancellationToken);
    }

    private static string InsertInto(string schema) =>
        $"INSERT INTO {schema}.outbox (id, subject, source, tenant_id, ordering_key, time, trace_parent, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
}
