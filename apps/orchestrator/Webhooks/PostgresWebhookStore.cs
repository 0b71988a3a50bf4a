using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;
using NpgsqlTypes;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Endpoints and deliveries in PostgreSQL, shared by all replicas.</summary>
internal sealed class PostgresWebhookStore([FromKeyedServices(OrchestratorModule.ServiceName)] PostgresDatabase database) : IWebhookStore
{
    private const string SelectEndpoints = "SELECT id, tenant_id, run_id, url, description, events, secrets, disabled, created_at, updated_at FROM orchestrator.webhook_endpoints ";
    private const string Columns = "d.id, d.tenant_id, d.endpoint_id, d.run_id, d.type, d.payload, d.state, d.attempts, d.next_at, d.last_status, d.last_error, d.created_at, d.ended_at";
    private const string SelectDeliveries = "SELECT " + Columns + " FROM orchestrator.webhook_deliveries d ";

    private static readonly TenantScope Jobs = TenantScope.System("deliveries of webhooks");

    public Task AddEndpointAsync(WebhookEndpoint endpoint) => database.WriteAsync(endpoint.TenantId, session => session.Sql("""
        INSERT INTO orchestrator.webhook_endpoints (id, tenant_id, run_id, url, description, events, secrets, disabled, created_at, updated_at) VALUES ($1, $2, $3::text, $4, $5::text, $6, $7, $8::text, $9, $10) ON CONFLICT DO NOTHING
        """, endpoint.Id, endpoint.TenantId, endpoint.RunId, PostgresText.Storable(endpoint.Url), PostgresText.Storable(endpoint.Description), string.Join(' ', endpoint.Events), endpoint.Secrets, endpoint.Disabled,
        endpoint.CreatedAt, endpoint.UpdatedAt).ExecuteAsync());

    public async ValueTask<WebhookEndpoint?> FindEndpointAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectEndpoints + "WHERE id = $1 AND tenant_id = $2", id, tenantId).FirstAsync(ReadEndpoint));

    public async ValueTask<IReadOnlyList<WebhookEndpoint>> ListEndpointsAsync(string tenantId, string? beforeId, int limit) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectEndpoints + "WHERE tenant_id = $1 AND run_id IS NULL AND ($2::text IS NULL OR id < $2) ORDER BY id DESC LIMIT $3", tenantId, PostgresText.Storable(beforeId), limit).ListAsync(ReadEndpoint));

    public Task<bool> UpdateEndpointAsync(WebhookEndpoint endpoint) => database.WriteAsync(endpoint.TenantId, async session => await session.Sql("""
        UPDATE orchestrator.webhook_endpoints SET url = $3, description = $4::text, events = $5, secrets = $6, disabled = $7::text, updated_at = $8 WHERE id = $1 AND tenant_id = $2
        """, endpoint.Id, endpoint.TenantId, PostgresText.Storable(endpoint.Url), PostgresText.Storable(endpoint.Description), string.Join(' ', endpoint.Events), endpoint.Secrets, endpoint.Disabled, endpoint.UpdatedAt).ExecuteAsync() > 0);

    public Task<bool> DeleteEndpointAsync(string tenantId, string id) => database.WriteAsync(tenantId, async session =>
    {
        await session.Sql("DELETE FROM orchestrator.webhook_deliveries WHERE endpoint_id = $1 AND tenant_id = $2", id, tenantId).ExecuteAsync();
        return await session.Sql("DELETE FROM orchestrator.webhook_endpoints WHERE id = $1 AND tenant_id = $2", id, tenantId).ExecuteAsync() > 0;
    });

    public async ValueTask<IReadOnlyList<WebhookEndpoint>> EndpointsOfAsync(string tenantId, IReadOnlyList<string> runIds)
    {
        string[] ids = [.. runIds];
        return await database.ReadAsync(tenantId, session => session.Sql(SelectEndpoints + "WHERE tenant_id = $1 AND (run_id IS NULL OR run_id = ANY ($2::text[])) ORDER BY id", tenantId, ids).ListAsync(ReadEndpoint));
    }

    public Task AddDeliveriesAsync(string tenantId, IReadOnlyList<WebhookDelivery> deliveries)
    {
        var batch = new WriteBatch();
        foreach (WebhookDelivery d in deliveries)
            batch.Add("""
                INSERT INTO orchestrator.webhook_deliveries (id, tenant_id, endpoint_id, run_id, type, payload, state, attempts, next_at, created_at)
                SELECT $1, $2, $3, $4, $5, $6, 'pending', 0, $7, $8 FROM (SELECT 1 FROM orchestrator.webhook_endpoints WHERE id = $3 AND tenant_id = $2 FOR SHARE) there ON CONFLICT (id) DO NOTHING
                """, d.Id, tenantId, d.EndpointId, Text(d.RunId), d.Type, d.Payload, d.NextAt, d.CreatedAt);
        return database.Writer.WriteAsync(tenantId, batch);
    }

    public async ValueTask<WebhookDelivery?> FindDeliveryAsync(string tenantId, string id) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectDeliveries + "WHERE d.id = $1 AND d.tenant_id = $2", id, tenantId).FirstAsync(ReadDelivery));

    public async ValueTask<IReadOnlyList<WebhookDelivery>> ListDeliveriesAsync(string tenantId, string endpointId, DeliveryState? state, string? beforeId, int limit) => await database.ReadAsync(tenantId, session =>
        session.Sql(SelectDeliveries + "WHERE d.endpoint_id = $1 AND d.tenant_id = $2 AND ($3::text IS NULL OR d.state = $3) AND ($4::text IS NULL OR d.id < $4) ORDER BY d.id DESC LIMIT $5",
            endpointId, tenantId, state is { } only ? DeliveryStates.Of(only) : null, PostgresText.Storable(beforeId), limit).ListAsync(ReadDelivery));

    public async Task<IReadOnlyList<WebhookDelivery>> ClaimAsync(string owner, DateTimeOffset now, TimeSpan lease, IReadOnlyList<string> busyEndpoints, int perEndpoint, int limit)
    {
        string[] busy = [.. busyEndpoints];
        // Asked every second by every replica, and nearly always there is nothing to write.
        bool any = await database.ReadAsync(Jobs, session => session.Sql("""
            /* all tenants */ SELECT 1 FROM orchestrator.webhook_deliveries WHERE state = 'pending' AND next_at <= $1 AND (lease_until IS NULL OR lease_until <= $1) LIMIT 1
            """, now).FirstAsync(static _ => true));
        if (!any) return [];
        return await database.WriteAsync(Jobs, session => session.Sql($"""
            /* all tenants */ WITH due AS (SELECT id, next_at FROM (
                    SELECT d.id, d.next_at, row_number() OVER (PARTITION BY d.endpoint_id ORDER BY d.next_at, d.position) AS place FROM orchestrator.webhook_deliveries d
                    JOIN orchestrator.webhook_endpoints e ON e.id = d.endpoint_id AND e.disabled IS NULL
                    WHERE d.state = 'pending' AND d.next_at <= $1 AND (d.lease_until IS NULL OR d.lease_until <= $1) AND d.endpoint_id <> ALL ($2::text[])
                        AND (d.run_id IS NULL OR NOT EXISTS (SELECT 1 FROM orchestrator.webhook_deliveries o
                            WHERE o.endpoint_id = d.endpoint_id AND o.run_id = d.run_id AND o.state = 'pending' AND o.position < d.position))
                    ) each WHERE place <= $3 ORDER BY next_at LIMIT $4),
                free AS MATERIALIZED (SELECT w.id FROM orchestrator.webhook_deliveries w JOIN due ON due.id = w.id
                    WHERE w.state = 'pending' AND (w.lease_until IS NULL OR w.lease_until <= $1) FOR NO KEY UPDATE OF w SKIP LOCKED)
            UPDATE orchestrator.webhook_deliveries d SET lease_owner = $5, lease_until = $6 FROM free WHERE d.id = free.id RETURNING {Columns}
            """, now, busy, perEndpoint, limit, owner, now + lease).ListAsync(ReadDelivery));
    }

    public Task<bool> CompleteAsync(WebhookDelivery delivery, string owner, DeliveryResult result) => database.WriteAsync(delivery.TenantId, async session => await session.Sql("""
        UPDATE orchestrator.webhook_deliveries SET state = $4, attempts = attempts + 1, last_status = $5::integer, last_error = $6::text, next_at = $7, ended_at = $8::timestamptz, lease_owner = NULL, lease_until = NULL
        WHERE id = $1 AND tenant_id = $2 AND lease_owner = $3 AND state = 'pending'
        """, delivery.Id, delivery.TenantId, owner, DeliveryStates.Of(result.State), result.Status, result.Error, result.NextAt, result.State == DeliveryState.Pending ? null : result.At).ExecuteAsync() > 0);

    public Task<bool> RedeliverAsync(string tenantId, string id, DateTimeOffset now) => database.WriteAsync(tenantId, async session => await session.Sql("""
        UPDATE orchestrator.webhook_deliveries SET state = 'pending', attempts = 0, next_at = $3, ended_at = NULL WHERE id = $1 AND tenant_id = $2 AND state <> 'pending'
        """, id, tenantId, now).ExecuteAsync() > 0);

    public Task DisableAsync(string tenantId, string endpointId, string reason, DateTimeOffset at) => database.WriteAsync(tenantId, async session =>
    {
        await session.Sql("UPDATE orchestrator.webhook_endpoints SET disabled = $3, updated_at = $4 WHERE id = $1 AND tenant_id = $2 AND disabled IS NULL", endpointId, tenantId, reason, at).ExecuteAsync();
        return await session.Sql("""
            UPDATE orchestrator.webhook_deliveries SET state = 'failed', last_error = 'endpoint_disabled', ended_at = $3, lease_owner = NULL, lease_until = NULL WHERE endpoint_id = $1 AND tenant_id = $2 AND state = 'pending'
            """, endpointId, tenantId, at).ExecuteAsync();
    });

    public Task<int> PruneAsync(DateTimeOffset before, int batch) => database.WriteAsync(Jobs, async session => await session.Sql("""
        /* all tenants */ DELETE FROM orchestrator.webhook_deliveries WHERE position IN (SELECT position FROM orchestrator.webhook_deliveries WHERE state <> 'pending' AND ended_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)
        """, before, batch).ExecuteAsync() + await session.Sql("""
        /* all tenants */ DELETE FROM orchestrator.webhook_endpoints WHERE id IN (SELECT e.id FROM orchestrator.webhook_endpoints e WHERE e.run_id IS NOT NULL AND e.created_at < $1
            AND NOT EXISTS (SELECT 1 FROM orchestrator.webhook_deliveries d WHERE d.endpoint_id = e.id) AND NOT EXISTS (SELECT 1 FROM orchestrator.runs r WHERE r.id = e.run_id AND r.ended_at IS NULL) LIMIT $2)
        """, before, batch).ExecuteAsync());

    private static NpgsqlParameter Text(string? value) => new() { Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text };

    private static WebhookEndpoint ReadEndpoint(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0), TenantId = row.Text(1), RunId = row.TextOrNull(2), Url = row.Text(3), Description = row.TextOrNull(4), Events = row.Text(5).Split(' ', StringSplitOptions.RemoveEmptyEntries),
        Secrets = row.Bytes(6), Disabled = row.TextOrNull(7), CreatedAt = row.Time(8), UpdatedAt = row.Time(9),
    };

    private static WebhookDelivery ReadDelivery(NpgsqlDataReader row) => new()
    {
        Id = row.Text(0), TenantId = row.Text(1), EndpointId = row.Text(2), RunId = row.TextOrNull(3), Type = row.Text(4), Payload = row.Bytes(5),
        State = DeliveryStates.TryParse(row.Text(6), out DeliveryState state) ? state : throw new InvalidOperationException($"Delivery {row.Text(0)} has an unknown state."),
        Attempts = row.Int32(7), NextAt = row.Time(8), LastStatus = row.Int32OrNull(9), LastError = row.TextOrNull(10), CreatedAt = row.Time(11), EndedAt = row.TimeOrNull(12),
    };
}
