namespace MultiAgent.Orchestrator.Schedules;

/// <summary>Keeps schedules and their firings. The tenant is part of every look-up: another tenant's id names nothing.</summary>
internal interface IScheduleStore
{
    /// <summary>Adds a schedule; one of a known id is left as it is.</summary>
    Task AddAsync(Schedule schedule);

    ValueTask<Schedule?> FindAsync(string tenantId, string id);

    /// <summary>Newest first.</summary>
    ValueTask<IReadOnlyList<Schedule>> ListAsync(string tenantId, string? beforeId, int limit);

    /// <summary>Replaces a schedule, whose revision must be the one before; false when it is not there or was changed in between.</summary>
    Task<bool> UpdateAsync(Schedule schedule);

    /// <summary>Deletes a schedule with its firings; their runs stay. False when it is not there.</summary>
    Task<bool> DeleteAsync(string tenantId, string id);

    /// <summary>Gives the owner schedules that are due, each to one owner for as long as the lease.</summary>
    Task<IReadOnlyList<Schedule>> ClaimDueAsync(string owner, DateTimeOffset now, TimeSpan lease, int limit);

    /// <summary>Keeps what was decided on a schedule: its firings, and when it is due again. False, with nothing kept, when the owner lost it or it was changed.</summary>
    Task<bool> PlanAsync(Schedule schedule, string owner, FiringPlan plan);

    /// <summary>Adds a firing; one of a known id is left as it is.</summary>
    Task AddFiringAsync(Firing firing);

    ValueTask<Firing?> FindFiringAsync(string tenantId, string id);

    /// <summary>Firings of a schedule, newest first.</summary>
    ValueTask<IReadOnlyList<Firing>> ListFiringsAsync(string tenantId, string scheduleId, string? beforeId, int limit);

    /// <summary>How many firings of a schedule wait for their start.</summary>
    ValueTask<int> CountPendingAsync(string tenantId, string scheduleId);

    /// <summary>Gives the owner firings whose start is to be tried, of each schedule the oldest and those that were asked for.</summary>
    Task<IReadOnlyList<Firing>> ClaimFiringsAsync(string owner, DateTimeOffset now, TimeSpan lease, int limit);

    /// <summary>Notes what came of a start, if the owner still holds the firing.</summary>
    Task<bool> CompleteFiringAsync(Firing firing, string owner, FiringState state, string? reason, DateTimeOffset tryAt);

    /// <summary>Runs of the schedule that were started and are not over.</summary>
    ValueTask<IReadOnlyList<string>> ActiveRunsAsync(string tenantId, string scheduleId);

    /// <summary>Deletes up to <paramref name="batch"/> firings that ended before a time; returns how many.</summary>
    Task<int> PruneAsync(DateTimeOffset before, int batch);
}
