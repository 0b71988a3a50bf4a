namespace MultiAgent.Orchestrator.Workflows.Snapshots;

/// <summary>
/// What the log of a workflow's run gives up to an event. It says nothing that the log does not say: without it, or with one that cannot be read, the state is
/// built from the whole log.
/// </summary>
internal sealed record FlowSnapshot
{
    public required string TenantId { get; init; }
    public required string RunId { get; init; }

    /// <summary>The last event that is in it.</summary>
    public required long Seq { get; init; }

    /// <summary>How <see cref="Data"/> is to be read: <see cref="FlowContent.Format"/> of the process that made it.</summary>
    public required int Format { get; init; }

    /// <summary>JSON, compressed (DEFLATE).</summary>
    public required byte[] Data { get; init; }
    public required DateTimeOffset At { get; init; }
}

/// <summary>Keeps the newest snapshot of each run that has not ended.</summary>
internal interface IFlowSnapshotStore
{
    ValueTask<FlowSnapshot?> FindAsync(string tenantId, string runId);

    /// <summary>Keeps a snapshot in the place of an older one, unless the run has ended or there is a newer one.</summary>
    Task KeepAsync(FlowSnapshot snapshot);
}
