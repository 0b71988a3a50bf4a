using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Workflows.Snapshots;

/// <summary>
/// When a run's snapshots are made: the first after <see cref="RunsOptions.SnapshotEvents"/>, and the next once as many events have come again, or a quarter of the log
/// where that is more. So a take-up reads a quarter of a long log at most, and all snapshots of a run together come to a few times its size, however long it gets.
/// </summary>
/// <param name="snapshots">Makes them.</param>
/// <param name="live">The run.</param>
/// <param name="last">The last event of the newest; 0 when there is none.</param>
internal sealed class SnapshotPace(FlowSnapshots snapshots, LiveRun live, long last)
{
    private long _next = snapshots.Every > 0 ? Next(snapshots.Every, last) : long.MaxValue;
    private long _stored;
    private int _making;

    /// <summary>There may be a snapshot, which is to go with the run's end.</summary>
    public bool MayExist { get; private set; } = last > 0;

    /// <summary>Events up to this one are stored, and the run goes on.</summary>
    public void Stored(long seq)
    {
        Volatile.Write(ref _stored, seq);
        if (seq < Volatile.Read(ref _next) || Interlocked.Exchange(ref _making, 1) == 1) return;
        MayExist = true;
        _ = Task.Run(MakeAsync);
    }

    private static long Next(long every, long last) => last + Math.Max(every, last / 4);

    private async Task MakeAsync()
    {
        long stored;
        do
        {
            long made = await snapshots.MakeAsync(live.Record.TenantId, live.Record.Id);
            stored = Volatile.Read(ref _stored);
            // One that failed is not tried again before the log has grown.
            Volatile.Write(ref _next, Next(snapshots.Every, made > 0 ? made : stored));
        }
        while (stored >= Volatile.Read(ref _next) && !live.Abandoned.IsCancellationRequested);
        Volatile.Write(ref _making, 0);
    }
}
