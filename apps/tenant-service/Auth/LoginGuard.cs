using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Tenants.Auth;

/// <summary>
/// Slows down the guessing of passwords: from the fifth wrong one in a row on, an address is locked for a minute, doubling
/// with each further one up to an hour. Addresses without an account are counted alike.
/// </summary>
internal sealed class LoginGuard([FromKeyedServices(TenantModule.Service)] SqliteDatabase database, TimeProvider time) : IDisposable
{
    private const int FreeFailures = 5;
    private const int MaxRows = 100_000;
    private const int CleanupBatch = 100;
    private static readonly TimeSpan FirstLock = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestLock = TimeSpan.FromHours(1);
    private static readonly TimeSpan Memory = TimeSpan.FromHours(24);

    // Attempts on one address go one after the other: many at once would all pass before the first failure counts.
    private readonly SemaphoreSlim[] _stripes = [.. Enumerable.Range(0, 256).Select(_ => new SemaphoreSlim(1, 1))];

    /// <summary>Runs <paramref name="verify"/> unless the address is locked, and counts its outcome.</summary>
    /// <returns>Whether it passed; and if the address was locked already, for how long it still is.</returns>
    public async Task<(bool Passed, TimeSpan? LockedFor)> AttemptAsync(string normalizedEmail, Func<Task<bool>> verify, CancellationToken cancellationToken)
    {
        byte[] digest = SHA256.HashData(Encoding.UTF8.GetBytes(normalizedEmail));
        string hash = Convert.ToHexStringLower(digest);
        SemaphoreSlim stripe = _stripes[digest[0]];
        await stripe.WaitAsync(cancellationToken);
        try
        {
            (int failures, DateTimeOffset? lockedUntil) = database.Read(s => Find(s, hash, time.GetUtcNow()));
            DateTimeOffset now = time.GetUtcNow();
            if (lockedUntil > now) return (false, lockedUntil - now);
            bool passed = await verify();
            if (!passed) await database.Writer.WriteAsync(s => Fail(s, hash, time.GetUtcNow()));
            else if (failures > 0) await ForgiveAsync(hash);
            return (passed, null);
        }
        finally
        {
            stripe.Release();
        }
    }

    public void Dispose()
    {
        foreach (SemaphoreSlim stripe in _stripes) stripe.Dispose();
    }

    private Task ForgiveAsync(string hash) =>
        database.Writer.WriteAsync(s => { s.Prepare("DELETE FROM login_failures WHERE email_hash = ?1").Bind(1, hash).Execute(); });

    private static (int Failures, DateTimeOffset? LockedUntil) Find(SqliteSession s, string hash, DateTimeOffset now)
    {
        SqliteStatement find = s.Prepare("SELECT failures, locked_until FROM login_failures WHERE email_hash = ?1 AND updated_at > ?2").Bind(1, hash).Bind(2, now - Memory);
        if (!find.Step()) return (0, null);
        var found = ((int)find.Int64(0), find.TimeOrNull(1));
        find.Reset();
        return found;
    }

    private static void Fail(SqliteSession s, string hash, DateTimeOffset now)
    {
        int failures = Find(s, hash, now).Failures + 1;
        DateTimeOffset? lockedUntil = failures < FreeFailures ? null
            : now + TimeSpan.FromTicks(Math.Min(LongestLock.Ticks, FirstLock.Ticks << Math.Min(failures - FreeFailures, 10)));
        s.Prepare("""
            INSERT INTO login_failures (email_hash, failures, locked_until, updated_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (email_hash) DO UPDATE SET failures = ?2, locked_until = ?3, updated_at = ?4
            """).Bind(1, hash).Bind(2, failures).Bind(3, lockedUntil).Bind(4, now).Execute();
        s.Prepare("DELETE FROM login_failures WHERE seq IN (SELECT seq FROM login_failures WHERE updated_at <= ?1 LIMIT ?2)").Bind(1, now - Memory).Bind(2, CleanupBatch).Execute();
        s.Prepare("DELETE FROM login_failures WHERE seq <= (SELECT max(seq) FROM login_failures) - ?1").Bind(1, MaxRows).Execute();
    }
}
