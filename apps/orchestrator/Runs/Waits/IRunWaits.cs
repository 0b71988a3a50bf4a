using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>
/// What runs wait for, and the waking of those that wait. Waits are made and closed with the run's events (<see cref="RunWrite"/>), so that neither is
/// there without the other.
/// </summary>
internal interface IRunWaits
{
    ValueTask<RunWait?> FindAsync(string tenantId, string id);

    /// <summary>Waits for people, newest first.</summary>
    ValueTask<IReadOnlyList<RunWait>> ListHumanAsync(string tenantId, WaitFilter filter, string? beforeId, int limit);

    /// <summary>What a run waits for now, oldest first.</summary>
    ValueTask<IReadOnlyList<RunWait>> OpenAsync(string tenantId, string runId, int limit);

    /// <summary>Waits of a run that were resolved and that its log does not have yet, oldest first.</summary>
    ValueTask<IReadOnlyList<RunWait>> ResolvedAsync(string tenantId, string runId);

    /// <summary>Resolves an open wait, and wakes its run. Of several callers one succeeds.</summary>
    Task<ResolveOutcome> ResolveAsync(RunWait wait, WaitResolution resolution);

    /// <summary>Resolves every open wait of the tenant for an event of this name and key; returns the runs.</summary>
    /// <param name="tenantId">The tenant.</param>
    /// <param name="name">The event's name.</param>
    /// <param name="key">The event's key; a wait without one takes any.</param>
    /// <param name="resolution">What each gets.</param>
    Task<IReadOnlyList<string>> RaiseAsync(string tenantId, string name, string? key, WaitResolution resolution);

    /// <summary>Gives the owner waiting runs whose time has come, each under a new epoch and to one caller.</summary>
    Task<IReadOnlyList<TakenRun>> TakeDueAsync(string owner, TimeSpan lease, DateTimeOffset now, int limit);

    /// <summary>Asks for a run to rest, whoever holds it; false when it has ended, or rests so already. One that waits is woken to be put to rest.</summary>
    Task<bool> RequestPauseAsync(string tenantId, string runId);

    /// <summary>Has a paused run go on, or takes back that it is to rest; false when neither is the case.</summary>
    Task<bool> ResumeAsync(string tenantId, string runId);

    /// <summary>Asks for a run that rests to be cancelled, and wakes it for that; false when it does not rest.</summary>
    Task<bool> CancelWaitingAsync(string tenantId, string runId, StopCause cause);
}
