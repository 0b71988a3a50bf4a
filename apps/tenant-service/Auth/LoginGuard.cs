using System.Security.Cryptography;
using System.Text;

namespace MultiAgent.Tenants.Auth;

/// <summary>
/// Slows down the guessing of passwords: from the fifth wrong one in a row on, an address is locked for a minute, doubling
/// with each further one up to an hour. Addresses without an account are counted alike.
/// </summary>
internal sealed class LoginGuard(ILoginFailureStore store, TimeProvider time) : IDisposable
{
    private const int FreeFailures = 5;
    private static readonly TimeSpan FirstLock = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestLock = TimeSpan.FromHours(1);
    private static readonly TimeSpan Memory = TimeSpan.FromHours(24);

    // Attempts on one address go one after the other: many at once would all pass before the first failure counts. Replicas let pass one each.
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
            (int failures, DateTimeOffset? lockedUntil) = await store.FindAsync(hash, time.GetUtcNow() - Memory);
            DateTimeOffset now = time.GetUtcNow();
            if (lockedUntil > now) return (false, lockedUntil - now);
            bool passed = await verify();
            if (!passed) await FailAsync(hash, time.GetUtcNow());
            else if (failures > 0) await store.ForgiveAsync(hash);
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

    private Task FailAsync(string hash, DateTimeOffset now) => store.FailAsync(hash, now, now - Memory, failures => failures < FreeFailures ? null
        : now + TimeSpan.FromTicks(Math.Min(LongestLock.Ticks, FirstLock.Ticks << Math.Min(failures - FreeFailures, 10))));
}
