using System.Collections.Concurrent;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Hosting.Idempotency;

/// <summary>Idempotency keys in a SQLite file, which one process has for itself.</summary>
internal sealed class SqliteIdempotencyStore(
    [FromKeyedServices("host")] SqliteDatabase database, IDataProtectionProvider protection, TimeProvider time) : IIdempotencyStore
{
    private readonly IDataProtector _protector = protection.CreateProtector("idempotency");
    private readonly ConcurrentDictionary<(string Tenant, string Key), TaskCompletionSource> _inProgress = new();

    // Claims of an earlier process were left by a crash and can be taken over.
    private readonly string _process = Guid.NewGuid().ToString("N");

    public async Task<ClaimOutcome> ClaimAsync(string tenantId, string key, string requestHash, CancellationToken cancellationToken)
    {
        while (true)
        {
            TaskCompletionSource mine = new(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskCompletionSource holder = _inProgress.GetOrAdd((tenantId, key), mine);
            if (holder != mine)
            {
                await holder.Task.WaitAsync(cancellationToken);
                continue;
            }
            try
            {
                ClaimOutcome outcome = await database.Writer.WriteAsync(session => Claim(session, tenantId, key, requestHash));
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
            await database.Writer.WriteAsync(session =>
            {
                session.Prepare("UPDATE idempotency_keys SET process = NULL, status = ?3, content_type = ?4, location = ?5, body = ?6 WHERE tenant_id = ?1 AND key = ?2")
                    .Bind(1, tenantId).Bind(2, key).Bind(3, response.Status).Bind(4, response.ContentType).Bind(5, response.Location).BindBlob(6, body).Execute();
            });
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
            // A claim that nobody here works on is anybody's.
            if (mayHaveActed) return;
            await database.Writer.WriteAsync(session =>
            {
                session.Prepare("DELETE FROM idempotency_keys WHERE tenant_id = ?1 AND key = ?2").Bind(1, tenantId).Bind(2, key).Execute();
            });
        }
        finally
        {
            Finish(tenantId, key);
        }
    }

    public Task<int> DeleteExpiredAsync(int batch)
    {
        DateTimeOffset before = time.GetUtcNow() - IIdempotencyStore.Retention;
        return database.Writer.WriteAsync(session => session
            .Prepare("/* all tenants */ DELETE FROM idempotency_keys WHERE rowid IN (SELECT rowid FROM idempotency_keys WHERE created_at < ?1 LIMIT ?2)")
            .Bind(1, before).Bind(2, batch).Execute());
    }

    private void Finish(string tenantId, string key)
    {
        if (_inProgress.TryRemove((tenantId, key), out TaskCompletionSource? done)) done.SetResult();
    }

    private ClaimOutcome Claim(SqliteSession session, string tenantId, string key, string requestHash)
    {
        SqliteStatement find = session.Prepare("SELECT request_hash, process, status, content_type, location, body, created_at FROM idempotency_keys WHERE tenant_id = ?1 AND key = ?2");
        find.Bind(1, tenantId).Bind(2, key);
        if (find.Step())
        {
            bool same = find.Text(0) == requestHash;
            bool complete = find.IsNull(1);
            DateTimeOffset since = find.Time(6);
            StoredResponse? response = complete && same
                ? new StoredResponse((int)find.Int64(2), find.TextOrNull(3), find.TextOrNull(4), _protector.Unprotect(find.Bytes(5).ToArray()))
                : null;
            find.Reset();
            if (!same) return new ClaimOutcome.Mismatch();
            if (response is not null) return new ClaimOutcome.Replay(response);
            session.Prepare("UPDATE idempotency_keys SET process = ?3 WHERE tenant_id = ?1 AND key = ?2").Bind(1, tenantId).Bind(2, key).Bind(3, _process).Execute();
            return new ClaimOutcome.Granted(since);
        }
        DateTimeOffset now = DateTimeOffset.FromUnixTimeMilliseconds(time.GetUtcNow().ToUnixTimeMilliseconds());
        session.Prepare("INSERT INTO idempotency_keys (tenant_id, key, request_hash, process, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")
            .Bind(1, tenantId).Bind(2, key).Bind(3, requestHash).Bind(4, _process).Bind(5, now).Execute();
        return new ClaimOutcome.Granted(now);
    }
}
