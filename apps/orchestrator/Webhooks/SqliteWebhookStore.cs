using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Endpoints and deliveries in SQLite, which one process has for itself.</summary>
internal sealed class SqliteWebhookStore([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database) : IWebhookStore
{
    private const string SelectEndpoints = "SELECT id, tenant_id, run_id, url, description, events, secrets, disabled, created_at, updated_at FROM webhook_endpoints ";
    private const string SelectDeliveries = "SELECT id, tenant_id, endpoint_id, run_id, type, payload, state, attempts, next_at, last_status, last_error, created_at, ended_at FROM webhook_deliveries ";

    public Task AddEndpointAsync(WebhookEndpoint endpoint) => database.Writer.WriteAsync(session => session
        .Prepare("INSERT INTO webhook_endpoints (id, tenant_id, run_id, url, description, events, secrets, disabled, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING")
        .Bind(1, endpoint.Id).Bind(2, endpoint.TenantId).Bind(3, endpoint.RunId).Bind(4, endpoint.Url).Bind(5, endpoint.Description).Bind(6, string.Join(' ', endpoint.Events))
        .BindBlob(7, endpoint.Secrets).Bind(8, endpoint.Disabled).Bind(9, endpoint.CreatedAt).Bind(10, endpoint.UpdatedAt).Execute());

    public ValueTask<WebhookEndpoint?> FindEndpointAsync(string tenantId, string id) => new(database.Read(session =>
        Endpoints(session.Prepare(SelectEndpoints + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId)).FirstOrDefault()));

    public ValueTask<IReadOnlyList<WebhookEndpoint>> ListEndpointsAsync(string tenantId, string? beforeId, int limit) => new(database.Read<IReadOnlyList<WebhookEndpoint>>(session =>
        Endpoints(session.Prepare(SelectEndpoints + "WHERE tenant_id = ?1 AND run_id IS NULL AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3").Bind(1, tenantId).Bind(2, beforeId).Bind(3, limit))));

    public Task<bool> UpdateEndpointAsync(WebhookEndpoint endpoint) => database.Writer.WriteAsync(session => session
        .Prepare("UPDATE webhook_endpoints SET url = ?3, description = ?4, events = ?5, secrets = ?6, disabled = ?7, updated_at = ?8 WHERE id = ?1 AND tenant_id = ?2")
        .Bind(1, endpoint.Id).Bind(2, endpoint.TenantId).Bind(3, endpoint.Url).Bind(4, endpoint.Description).Bind(5, string.Join(' ', endpoint.Events)).BindBlob(6, endpoint.Secrets)
        .Bind(7, endpoint.Disabled).Bind(8, endpoint.UpdatedAt).Execute() > 0);

    public Task<bool> DeleteEndpointAsync(string tenantId, string id) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("DELETE FROM webhook_deliveries WHERE endpoint_id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute();
        return session.Prepare("DELETE FROM webhook_endpoints WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId).Execute() > 0;
    });

    public ValueTask<IReadOnlyList<WebhookEndpoint>> EndpointsOfAsync(string tenantId, IReadOnlyList<string> runIds) => new(database.Read<IReadOnlyList<WebhookEndpoint>>(session =>
        Endpoints(session.Prepare(SelectEndpoints + "WHERE tenant_id = ?1 AND (run_id IS NULL OR run_id IN (SELECT value FROM json_each(?2))) ORDER BY id").Bind(1, tenantId).Bind(2, JsonText(runIds)))));

    public Task AddDeliveriesAsync(string tenantId, IReadOnlyList<WebhookDelivery> deliveries) => database.Writer.WriteAsync(session =>
    {
        foreach (WebhookDelivery d in deliveries)
            session.Prepare("""
                INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, run_id, type, payload, state, attempts, next_at, created_at)
                SELECT ?1, ?2, ?3, ?4, ?5, ?6, 'pending', 0, ?7, ?8 WHERE EXISTS (SELECT 1 FROM webhook_endpoints WHERE id = ?3 AND tenant_id = ?2) ON CONFLICT DO NOTHING
                """)
                .Bind(1, d.Id).Bind(2, tenantId).Bind(3, d.EndpointId).Bind(4, d.RunId).Bind(5, d.Type).BindBlob(6, d.Payload).Bind(7, d.NextAt).Bind(8, d.CreatedAt).Execute();
    });

    public ValueTask<WebhookDelivery?> FindDeliveryAsync(string tenantId, string id) => new(database.Read(session =>
        Deliveries(session.Prepare(SelectDeliveries + "WHERE id = ?1 AND tenant_id = ?2").Bind(1, id).Bind(2, tenantId)).FirstOrDefault()));

    public ValueTask<IReadOnlyList<WebhookDelivery>> ListDeliveriesAsync(string tenantId, string endpointId, DeliveryState? state, string? beforeId, int limit) => new(database.Read<IReadOnlyList<WebhookDelivery>>(session =>
        Deliveries(session.Prepare(SelectDeliveries + "WHERE endpoint_id = ?1 AND tenant_id = ?2 AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR id < ?4) ORDER BY id DESC LIMIT ?5")
            .Bind(1, endpointId).Bind(2, tenantId).Bind(3, state is { } only ? DeliveryStates.Of(only) : null).Bind(4, beforeId).Bind(5, limit))));

    public Task<IReadOnlyList<WebhookDelivery>> ClaimAsync(string owner, DateTimeOffset now, TimeSpan lease, IReadOnlyList<string> busyEndpoints, int perEndpoint, int limit) =>
        database.Writer.WriteAsync<IReadOnlyList<WebhookDelivery>>(session =>
        {
            List<WebhookDelivery> due = Deliveries(session.Prepare("/* all tenants */ " + SelectDeliveries + """
                WHERE id IN (SELECT id FROM (
                    SELECT d.id, d.next_at, row_number() OVER (PARTITION BY d.endpoint_id ORDER BY d.next_at, d.position) AS place FROM webhook_deliveries d
                    JOIN webhook_endpoints e ON e.id = d.endpoint_id AND e.disabled IS NULL
                    WHERE d.state = 'pending' AND d.next_at <= ?1 AND (d.lease_until IS NULL OR d.lease_until <= ?1) AND d.endpoint_id NOT IN (SELECT value FROM json_each(?2))
                        AND (d.run_id IS NULL OR NOT EXISTS (SELECT 1 FROM webhook_deliveries o
                            WHERE o.endpoint_id = d.endpoint_id AND o.run_id = d.run_id AND o.state = 'pending' AND o.position < d.position))
                    ) WHERE place <= ?3 ORDER BY next_at LIMIT ?4)
                """).Bind(1, now).Bind(2, JsonText(busyEndpoints)).Bind(3, perEndpoint).Bind(4, limit));
            foreach (WebhookDelivery d in due)
                session.Prepare("UPDATE webhook_deliveries SET lease_owner = ?3, lease_until = ?4 WHERE id = ?1 AND tenant_id = ?2").Bind(1, d.Id).Bind(2, d.TenantId).Bind(3, owner).Bind(4, now + lease).Execute();
            return due;
        });

    public Task<bool> CompleteAsync(WebhookDelivery delivery, string owner, DeliveryResult result) => database.Writer.WriteAsync(session => session.Prepare("""
        UPDATE webhook_deliveries SET state = ?4, attempts = attempts + 1, last_status = ?5, last_error = ?6, next_at = ?7, ended_at = ?8, lease_owner = NULL, lease_until = NULL
        WHERE id = ?1 AND tenant_id = ?2 AND lease_owner = ?3 AND state = 'pending'
        """)
        .Bind(1, delivery.Id).Bind(2, delivery.TenantId).Bind(3, owner).Bind(4, DeliveryStates.Of(result.State)).Bind(5, (long?)result.Status).Bind(6, result.Error).Bind(7, result.NextAt)
        .Bind(8, result.State == DeliveryState.Pending ? null : result.At).Execute() > 0);

    public Task<bool> RedeliverAsync(string tenantId, string id, DateTimeOffset now) => database.Writer.WriteAsync(session => session
        .Prepare("UPDATE webhook_deliveries SET state = 'pending', attempts = 0, next_at = ?3, ended_at = NULL WHERE id = ?1 AND tenant_id = ?2 AND state <> 'pending'")
        .Bind(1, id).Bind(2, tenantId).Bind(3, now).Execute() > 0);

    public Task DisableAsync(string tenantId, string endpointId, string reason, DateTimeOffset at) => database.Writer.WriteAsync(session =>
    {
        session.Prepare("UPDATE webhook_endpoints SET disabled = ?3, updated_at = ?4 WHERE id = ?1 AND tenant_id = ?2 AND disabled IS NULL").Bind(1, endpointId).Bind(2, tenantId).Bind(3, reason).Bind(4, at).Execute();
        session.Prepare("UPDATE webhook_deliveries SET state = 'failed', last_error = 'endpoint_disabled', ended_at = ?3, lease_owner = NULL, lease_until = NULL WHERE endpoint_id = ?1 AND tenant_id = ?2 AND state = 'pending'")
            .Bind(1, endpointId).Bind(2, tenantId).Bind(3, at).Execute();
    });

    public Task<int> PruneAsync(DateTimeOffset before, int batch) => database.Writer.WriteAsync(session =>
    {
        int gone = session.Prepare("/* all tenants */ DELETE FROM webhook_deliveries WHERE position IN (SELECT position FROM webhook_deliveries WHERE state <> 'pending' AND ended_at < ?1 LIMIT ?2)")
            .Bind(1, before).Bind(2, batch).Execute();
        return gone + session.Prepare("""
            /* all tenants */ DELETE FROM webhook_endpoints WHERE id IN (SELECT e.id FROM webhook_endpoints e WHERE e.run_id IS NOT NULL AND e.created_at < ?1
                AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = e.id) AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = e.run_id AND r.ended_at IS NULL) LIMIT ?2)
            """).Bind(1, before).Bind(2, batch).Execute();
    });

    private static string JsonText(IReadOnlyList<string> values) => System.Text.Json.JsonSerializer.Serialize(values);

    private static List<WebhookEndpoint> Endpoints(SqliteStatement row)
    {
        var list = new List<WebhookEndpoint>();
        while (row.Step())
            list.Add(new WebhookEndpoint
            {
                Id = row.Text(0), TenantId = row.Text(1), RunId = row.TextOrNull(2), Url = row.Text(3), Description = row.TextOrNull(4), Events = row.Text(5).Split(' ', StringSplitOptions.RemoveEmptyEntries),
                Secrets = row.Bytes(6).ToArray(), Disabled = row.TextOrNull(7), CreatedAt = row.Time(8), UpdatedAt = row.Time(9),
            });
        return list;
    }

    private static List<WebhookDelivery> Deliveries(SqliteStatement row)
    {
        var list = new List<WebhookDelivery>();
        while (row.Step())
            list.Add(new WebhookDelivery
            {
                Id = row.Text(0), TenantId = row.Text(1), EndpointId = row.Text(2), RunId = row.TextOrNull(3), Type = row.Text(4), Payload = row.Bytes(5).ToArray(),
                State = DeliveryStates.TryParse(row.Text(6), out DeliveryState state) ? state : throw new InvalidOperationException($"Delivery {row.Text(0)} has an unknown state."),
                Attempts = (int)row.Int64(7), NextAt = row.Time(8), LastStatus = (int?)row.Int64OrNull(9), LastError = row.TextOrNull(10), CreatedAt = row.Time(11), EndedAt = row.TimeOrNull(12),
            });
        return list;
    }
}
