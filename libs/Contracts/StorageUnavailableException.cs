namespace MultiAgent.Contracts;

/// <summary>
/// The database cannot be reached, or gave up on the work for a reason that passes (HTTP 503 with Retry-After). Where <see cref="OutcomeUnknown"/> is
/// true the connection was lost while it committed: the work may have been done.
/// </summary>
public sealed class StorageUnavailableException(string message, Exception inner) : Exception(message, inner)
{
    public bool OutcomeUnknown { get; init; }
}
