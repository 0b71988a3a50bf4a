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
    /// <param name="Since">When the key was claimed first.</param>
    public sealed record Granted(DateTimeOffset Since) : ClaimOutcome;

    /// <summary>The request was answered before.</summary>
    public sealed record Replay(StoredResponse Response) : ClaimOutcome;

    /// <summary>The key was used with another request.</summary>
    public sealed record Mismatch : ClaimOutcome;
}

/// <summary>
/// Keeps which <c>Idempotency-Key</c>s were used, for what, and with what answer. A claim is durable before the request is
/// served. Answers may hold secrets that are shown once, so they are encrypted at rest.
/// </summary>
internal interface IIdempotencyStore
{
    /// <summary>How long a key is remembered.</summary>
    static readonly TimeSpan Retention = TimeSpan.FromHours(24);

    /// <summary>Claims the key. While an equal request is in progress, waits for its answer.</summary>
    Task<ClaimOutcome> ClaimAsync(string tenantId, string key, string requestHash, CancellationToken cancellationToken);

    /// <summary>Keeps the answer for repetitions.</summary>
    Task CompleteAsync(string tenantId, string key, StoredResponse response);

    /// <summary>Gives the claim back: the request failed in a way that a repetition may mend.</summary>
    /// <param name="tenantId">Whose key.</param>
    /// <param name="key">The key.</param>
    /// <param name="mayHaveActed">
    /// True when it is not known whether the request did something: the key then stays bound to this request and to the time of its first claim, so that a repetition
    /// makes the same ids. False: the key is forgotten.
    /// </param>
    Task ReleaseAsync(string tenantId, string key, bool mayHaveActed);

    /// <summary>Deletes up to <paramref name="batch"/> expired keys and returns how many.</summary>
    Task<int> DeleteExpiredAsync(int batch);
}
