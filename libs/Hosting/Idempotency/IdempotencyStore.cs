using System.Collections.Concurrent;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Hosting.Idempotency;

/// <summary>A response as it is kept for repetitions of the request.</summary>
internal sealed record StoredResponse(int Status, string? ContentType, string? Location, byte[] Body)
{
    /// <summary>In place of a status: the request was carried out, and its answer was too large to keep.</summary>
    public const int TooLarge = 0;
}

/// <summary>What a claim found.</summary>
internal abstract record ClaimOutcome
{
    /// <summary>The key is new (or its first request died with its process): go on, then complete or release.</summary>
    public sealed record Granted : ClaimOutcome;

    /// <summary>The request was answered before.</summary>
    public sealed record Replay(StoredResponse Response) : ClaimOutcome;

    /// <summary>The key was used with another request.</summary>
    public sealed record Mismatch : ClaimOutcome;
}

/// <summary>
/// Keeps which <c>Idempotency-Key</c>s were used, for what, and with what answer. A claim is on disk before the request is
/// served. Answers may hold secrets that are shown once, so they are encrypted at rest.
/// </summary>
internal sealed class IdempotencyStore(
    [FromKeyedServices("host")] SqliteDatabase database, IDataProtectionProvider protection, TimeProvider time)
{
    /// <summary>How long a key is remembered.</summary>
    public static readonly TimeSpan Retention = TimeSpan.FromHours(24);

    private readonly IDataProtector _protector = protection.CreateProtector("idempotency");
    private readonly ConcurrentDictionary<(string Tenant, string Key), TaskCompletionSource> _inProgress = new();

    // Claims of an earlier process were left by a crash and can be taken over.
    private readonly string _process = Guid.NewGuid().ToString("N");

    /// <summary>Claims the key. While an equal request is in progress, waits for its answer.</summary>
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

    /// <summary>Keeps the answer for repetitions.</summary>
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

    /// <summary>Forgets the claim: the request failed in a way that a repetition may mend.</summary>
    public async Task ReleaseAsync(string tenantId, string key)
    {
        try
        {
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

    /// <summary>Deletes up to <paramref name="batch"/> expired keys and returns how many.</summary>
    public Task<int> DeleteExpiredAsync(int batch)
    {
        DateTimeOffset before = time.GetUtcNow() - Retention;
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
        SqliteStatement find = session.Prepare("SELECT request_hash, process, status, content_type, location, body FROM idempotency_keys WHERE tenant_id = ?1 AND key = ?2");
        find.Bind(1, tenantId).Bind(2, key);
        if (find.Step())
        {
            bool same = find.Text(0) == requestHash;
            bool complete = find.IsNull(1);
            StoredResponse? response = complete && same
                ? new StoredResponse((int)find.Int64(2), find.TextOrNull(3), find.TextOrNull(4), _protector.Unprotect(find.Bytes(5).ToArray()))
                : null;
            find.Reset();
            if (!same) return new ClaimOutcome.Mismatch();
            if (response is not null) return new ClaimOutcome.Replay(response);
            session.Prepare("UPDATE idempotency_keys SET process = ?3 WHERE tenant_id = ?1 AND key = ?2").Bind(1, tenantId).Bind(2, key).Bind(3, _process).Execute();
            return new ClaimOutcome.Granted();
        }
        session.Prepare("INSERT INTO idempotency_keys (tenant_id, key, request_hash, process, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")
            .Bind(1, tenantId).Bind(2, key).Bind(3, requestHash).Bind(4, _process).Bind(5, time.GetUtcNow()).Execute();
        return new ClaimOutcome.Granted();
    }
}
