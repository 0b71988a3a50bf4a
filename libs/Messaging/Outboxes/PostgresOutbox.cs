using MultiAgent.Contracts.Events;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Messaging.Outboxes;

/// <summary>
/// The outbox in PostgreSQL, which all replicas of a service share. The one that holds the lock relays, and the others find nothing to do: so events of
/// one key leave in the order in which they were written. The lock ends with its transaction, and so with its process.
/// </summary>
internal sealed class PostgresOutbox(PostgresDatabase database) : IOutboxStore
{
    private static readonly TenantScope AllTenants = TenantScope.System("outbox relay");

    public string Service => database.Service;

    public async Task<int> RelayAsync(int max, Func<IReadOnlyList<EventEnvelope>, Task> publish)
    {
        // Ten times a second there is nothing: that must not cost a transaction.
        if (!await database.ReadAsync(AllTenants, session => session.Sql($"/* all tenants */ SELECT EXISTS (SELECT 1 FROM {database.Schema}.outbox)").FirstAsync(r => r.GetBoolean(0)))) return 0;
        return await database.WriteAsync(AllTenants, async session =>
        {
            if (!await session.Sql("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", $"{database.Schema} outbox").FirstAsync(r => r.GetBoolean(0))) return 0;
            List<(long Seq, EventEnvelope Event)> rows = await session.Sql(
                $"SELECT seq, id, subject, source, tenant_id, ordering_key, time, trace_parent, data FROM {database.Schema}.outbox ORDER BY seq LIMIT $1", max).ListAsync(row => (row.GetInt64(0), new EventEnvelope
            {
                Id = row.Text(1),
                Subject = row.Text(2),
                Source = row.Text(3),
                TenantId = row.TextOrNull(4),
                OrderingKey = row.TextOrNull(5),
                Time = row.Time(6),
                TraceParent = row.TextOrNull(7),
                Data = row.Bytes(8),
            }));
            if (rows.Count == 0) return 0;
            await publish([.. rows.Select(r => r.Event)]);
            // By their numbers: one with a smaller number may be committed only now. A crash here publishes them again; the bus drops ids it knows.
            await session.Sql($"/* all tenants */ DELETE FROM {database.Schema}.outbox WHERE seq = ANY($1)", rows.Select(r => r.Seq).ToArray()).ExecuteAsync();
            return rows.Count;
        });
    }
}
