namespace MultiAgent.Tenants.Auth;

/// <summary>Wrong passwords in a row, by the hash of an address.</summary>
internal interface ILoginFailureStore
{
    /// <summary>Rows that are kept; the oldest go first.</summary>
    const int MaxRows = 100_000;

    /// <summary>Old rows that one failure takes away.</summary>
    const int CleanupBatch = 100;

    /// <summary>Failures that are not older than <paramref name="since"/>, and until when the address is locked.</summary>
    Task<(int Failures, DateTimeOffset? LockedUntil)> FindAsync(string hash, DateTimeOffset since);

    /// <summary>Counts one more; <paramref name="lockedUntil"/> says for how long so many lock the address. Those before <paramref name="since"/> do not count.</summary>
    Task FailAsync(string hash, DateTimeOffset now, DateTimeOffset since, Func<int, DateTimeOffset?> lockedUntil);

    Task ForgiveAsync(string hash);
}
