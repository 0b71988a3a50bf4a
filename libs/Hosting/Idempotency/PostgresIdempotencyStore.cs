using System.Collections.Concurrent;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Hosting.Idempotency;

/// <summary>
/// Idempotency keys in PostgreSQL, which all replicas share. A claim is a lease: the process that works on a request renews it, so that another one takes
/// the key over soon after a crash and never before. Who finds a key at work elsewhere looks again until it is answered.
/// </summary>
internal sealed class PostgresIdempotencyStore : IIdempotencyStore, IDisposable
{
    /// <summary>How long a claim stands that nobody renews.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(8);

    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMilliseconds(500);

    private readonly PostgresDatabase _database;
    private readonly TimeProvider _time;
    private readonly IDataProtector _protector;
    private readonly ConcurrentDictionary<(string Tenant, string Key), TaskCompletionSource> _inProgress = new();
    private readonly string _process = Guid.NewGuid().ToString("N");
    private readonly ITimer _renewal;
    private int _renewing;

    public PostgresIdempotencyStore([FromKeyedServices("host")] PostgresDatabase database, IDataProtectionProvider protection, TimeProvider time)
    {
        (_database, _time) = (database, time);
        _protector = protection.CreateProtector("idempotency");
        _renewal = time.CreateTimer(_ => _ = RenewAsync(), null, Lease / 3, Lease / 3);
    }

    public async Task<ClaimOutcome> ClaimAsync(string tenantId, string key, string requestHash, CancellationToken cancellationToken)
    {
        while (true)
        {
            // Requests of this process wait here, without a query each.
            TaskCompletionSource mine = new(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskCompletionSource holder = _inProgress.GetOrAdd((tenantId, key), mine);
            if (holder != mine)
            {
                await holder.Task.WaitAsync(cancellationToken);
                continue;
            }
            try
            {
                ClaimOutcome? outcome;
                for (TimeSpan wait = FirstWait; (outcome = await TryClaimAsync(tenantId, key, requestHash, cancellationToken)) is null; wait = wait * 2 > LongestWait ? LongestWait : wait * 2)
                    await Task.Delay(wait, cancellationToken);
                if (outcome is not ClaimOutcome.Granted) Finish(tenantId, key);
                return outcome;
            }
            catch
            {
                Finish(tenantId, key);
                throw;
            }
        }
    }

    public async Task CompleteAsync(string tenantId, string key, StoredResponse response)
    {
        byte[] body = _protector.Protect(response.Body);
        try
        {
            await _database.WriteAsync(tenantId, session => session.Sql(
                "UPDATE host.idempotency_keys SET process = NULL, claimed_until = NULL, status = $4, content_type = $5, location = $6, body = $7 WHERE tenant_id = $1 AND key = $2 AND process = $3",
                tenantId, key, _process, response.Status, response.ContentType, response.Location, body).ExecuteAsync());
        }
        finally
        {
            Finish(tenantId, key);
        }
    }

    public async Task ReleaseAsync(string tenantId, string key, bool mayHaveActed)
    {
        try
        {
            await _database.WriteAsync(tenantId, session => session.Sql(mayHaveActed
                ? "UPDATE host.idempotency_keys SET claimed_until = '-infinity' WHERE tenant_id = $1 AND key = $2 AND process = $3"
                : "DELETE FROM host.idempotency_keys WHERE tenant_id = $1 AND key = $2 AND process = $3", tenantId, key, _process).ExecuteAsync());
        }
        finally
        {
            Finish(tenantId, key);
        }
    }

    public Task<int> DeleteExpiredAsync(int batch) => _database.WriteAsync(TenantScope.System("expired idempotency keys"), session => session.Sql("""
        /* all tenants */ DELETE FROM host.idempotency_keys WHERE (tenant_id, key) IN
            (SELECT tenant_id, key FROM host.idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE)
        """, _time.GetUtcNow() - IIdempotencyStore.Retention, batch).ExecuteAsync());

    public void Dispose() => _renewal.Dispose();

    private void Finish(string tenantId, string key)
    {
        if (_inProgress.TryRemove((tenantId, key), out TaskCompletionSource? done)) done.SetResult();
    }

    // Null: another process is at work on an equal request.
    private Task<ClaimOutcome?> TryClaimAsync(string tenantId, string key, string requestHash, CancellationToken cancellationToken) => _database.WriteAsync(tenantId, async session =>
    {
        DateTimeOffset now = DateTimeOffset.FromUnixTimeMilliseconds(_time.GetUtcNow().ToUnixTimeMilliseconds());
        int added = await session.Sql(
            "INSERT INTO host.idempotency_keys (tenant_id, key, request_hash, process, claimed_until, created_at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            tenantId, key, requestHash, _process, now + Lease, now).ExecuteAsync(cancellationToken);
        if (added == 1) return new ClaimOutcome.Granted(now);
        Found? found = await session.Sql("SELECT request_hash, process, claimed_until > $3, status, content_type, location, body, created_at FROM host.idempotency_keys WHERE tenant_id = $1 AND key = $2 FOR UPDATE", tenantId, key, now)
            .FirstAsync(row => new Found(row.Text(0), row.TextOrNull(1), !row.IsDBNull(2) && row.GetBoolean(2), row.Int32OrNull(3), row.TextOrNull(4), row.TextOrNull(5), row.IsDBNull(6) ? null : row.Bytes(6), row.Time(7)), cancellationToken);
        // Released at this moment: look again.
        if (found is null) return (ClaimOutcome?)null;
        if (found.RequestHash != requestHash) return new ClaimOutcome.Mismatch();
        if (found.Process is null) return new ClaimOutcome.Replay(new StoredResponse(found.Status ?? 0, found.ContentType, found.Location, _protector.Unprotect(found.Body ?? [])));
        // One of this process's own was left when its answer could not be kept: nobody works on it.
        if (found.IsHeld && found.Process != _process) return null;
        await session.Sql("UPDATE host.idempotency_keys SET process = $3, claimed_until = $4 WHERE tenant_id = $1 AND key = $2", tenantId, key, _process, now + Lease).ExecuteAsync(cancellationToken);
        return new ClaimOutcome.Granted(found.Since);
    }, cancellationToken);

    private async Task RenewAsync()
    {
        (string Tenant, string Key)[] held = [.. _inProgress.Keys];
        // One at a time: a database that is slow must not be asked more and more.
        if (held.Length == 0 || Interlocked.Exchange(ref _renewing, 1) == 1) return;
        try
        {
            await _database.WriteAsync(TenantScope.System("idempotency leases"), session => session.Sql("""
                /* all tenants */ UPDATE host.idempotency_keys SET claimed_until = $4
                WHERE (tenant_id, key) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND process = $3
                """, held.Select(h => h.Tenant).ToArray(), held.Select(h => h.Key).ToArray(), _process, _time.GetUtcNow() + Lease).ExecuteAsync());
        }
        catch (Exception e) when (e is Contracts.StorageUnavailableException or Npgsql.NpgsqlException or ObjectDisposedException)
        {
            // The next turn comes well before the lease ends.
        }
        finally
        {
            Volatile.Write(ref _renewing, 0);
        }
    }

    private sealed record Found(string RequestHash, string? Process, bool IsHeld, int? Status, string? ContentType, string? Location, byte[]? Body, DateTimeOffset Since);
}
