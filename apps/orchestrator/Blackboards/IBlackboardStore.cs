namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Keeps blackboards as the writes that made them. The tenant is part of every look-up.</summary>
internal interface IBlackboardStore
{
    /// <summary>The last write of each entry, up to a version where one is given.</summary>
    ValueTask<IReadOnlyList<BlackboardWrite>> CurrentAsync(string tenantId, string boardRunId, long? version = null);

    /// <summary>Writes after a version, in order.</summary>
    /// <param name="tenantId">The tenant.</param>
    /// <param name="boardRunId">The board.</param>
    /// <param name="name">Of one entry alone.</param>
    /// <param name="afterVersion">0: from the first.</param>
    /// <param name="limit">At most so many.</param>
    ValueTask<IReadOnlyList<BlackboardWrite>> WritesAsync(string tenantId, string boardRunId, string? name, long afterVersion, int limit);

    /// <summary>
    /// Writes, unless that was done under the same key: then gives what was written. Writers of a board come one after the other, so that none overlooks another.
    /// </summary>
    /// <param name="write">Its version and value are made here.</param>
    /// <param name="merge">The entry's value after the write, from its last write and the number of all; what it throws is thrown, and nothing is written.</param>
    Task<BlackboardWrite> WriteAsync(BlackboardWrite write, Func<BlackboardWrite?, long, byte[]> merge);

    /// <summary>Deletes up to <paramref name="batch"/> writes of boards whose run is over and has an id below one; returns how many.</summary>
    Task<int> ForgetAsync(string beforeRunId, int batch);
}
