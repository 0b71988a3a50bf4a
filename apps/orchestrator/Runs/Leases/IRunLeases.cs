namespace MultiAgent.Orchestrator.Runs.Leases;

/// <summary>
/// Who works on which run. A run is held by one process at a time, under an epoch that grows with each change of hands and that every
/// write of the run carries: who lost a run without noticing cannot write to it any more.
/// </summary>
internal interface IRunLeases
{
    /// <summary>
    /// True when several processes work on the same runs: leases then last for a time and have to be renewed. False: one process owns all of them, and
    /// what it holds is its own until it ends.
    /// </summary>
    bool IsShared { get; }

    /// <summary>
    /// Gives the owner unfinished runs that nobody holds, or whose holder let its lease run out, oldest first. Each goes to one caller, under a
    /// new epoch.
    /// </summary>
    Task<IReadOnlyList<TakenRun>> TakeUpAsync(string owner, TimeSpan lease, int limit);

    /// <summary>Prolongs the owner's leases on these runs; returns those that it still holds.</summary>
    Task<IReadOnlySet<string>> RenewAsync(string owner, TimeSpan lease, IReadOnlyList<string> runIds);

    /// <summary>What others have left for the owner: runs to be cancelled, and those of <paramref name="waiting"/> whose turn has come.</summary>
    Task<IReadOnlyList<RunSignal>> SignalsAsync(string owner, IReadOnlyList<string> waiting);

    /// <summary>Asks the holder of a run, whoever it is, to cancel it; false when the run has ended.</summary>
    Task<bool> RequestCancelAsync(string tenantId, string runId, StopCause cause);

    /// <summary>Lets go of everything that the owner holds, so that another process can go on at once.</summary>
    Task ReleaseAsync(string owner);
}

/// <summary>A run that was taken up; <paramref name="Cancel"/> is set when its cancelling was asked for, <paramref name="Pause"/> when it is to rest.</summary>
internal sealed record TakenRun(RunRecord Run, StopCause Cancel, bool Pause = false);

/// <summary>Something that another process left for the holder of a run.</summary>
/// <param name="RunId">The run.</param>
/// <param name="Started">The run waited, and its turn has come.</param>
/// <param name="Cancel">Why it is to be cancelled, or <see cref="StopCause.None"/>.</param>
/// <param name="Pause">It is to rest.</param>
internal readonly record struct RunSignal(string RunId, bool Started, StopCause Cancel, bool Pause = false);
