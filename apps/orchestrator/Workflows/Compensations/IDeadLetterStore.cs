using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>
/// Compensations that failed for good. A letter is written with the event that tells of the failure, and the end of a run that tries it again closes or
/// opens it, both in the write of that run (<see cref="RunWrite"/>).
/// </summary>
internal interface IDeadLetterStore
{
    ValueTask<DeadLetter?> FindAsync(string tenantId, string id);

    /// <summary>Letters, newest first.</summary>
    ValueTask<IReadOnlyList<DeadLetter>> ListAsync(string tenantId, DeadLetterFilter filter, string? beforeId, int limit);

    /// <summary>
    /// Moves a letter on, and adds the event to the log of its run where that log is still there. False when it does not stand as it should: of several callers one succeeds.
    /// </summary>
    /// <param name="changed">The letter as it is to be.</param>
    /// <param name="from">How it has to stand.</param>
    /// <param name="type">Type of the event.</param>
    /// <param name="data">Of the event: a UTF-8 JSON object.</param>
    Task<bool> MoveAsync(DeadLetter changed, DeadLetterStatus from, string type, byte[] data);

    /// <summary>Opens letters whose retry was promised before a time and whose run was never started, since the process died in between. Returns how many.</summary>
    Task<int> ReopenAsync(DateTimeOffset before);

    /// <summary>Letters of all tenants that are open.</summary>
    ValueTask<long> CountOpenAsync();
}
