using System.Text.Json;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows.Execution;

namespace MultiAgent.Orchestrator.Workflows.Snapshots;

/// <summary>
/// Builds states of workflows' runs from their logs, and from snapshots where the logs are long. Snapshots are made beside the work, from what is stored: the
/// run does not wait for them, and they say what its log says.
/// </summary>
internal sealed partial class FlowSnapshots(IRunStore runs, IFlowSnapshotStore snapshots, IOptions<RunsOptions> options, RunMetrics metrics, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<FlowSnapshots> logger)
{
    private const int Page = 1000;

    // Those of many runs one after the other: none is urgent, and each is large for a moment.
    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <summary>Events after which a run's first snapshot is made; 0 for none.</summary>
    public int Every => options.Value.SnapshotEvents;

    /// <summary>The state that a run's log gives; null when it has no log.</summary>
    public async Task<StoredFlow?> ReadAsync(string tenantId, string runId)
    {
        int page = Every > 0 ? Math.Min(Every, Page) : Page;
        IReadOnlyList<RunEvent> events = await runs.EventsAsync(tenantId, runId, 0, page);
        if (events.Count == 0) return null;
        RunInput input = RunInput.FromEvent(events[0].Data);
        var state = new FlowState();
        long seq = 0, kept = 0;
        // Most logs are shorter than any that has a snapshot.
        if (Every > 0 && events.Count == page && await snapshots.FindAsync(tenantId, runId) is { } snapshot && snapshot.Seq > events[^1].Seq && TryRead(snapshot) is { } known)
        {
            (state, seq, kept) = (known, snapshot.Seq, snapshot.Seq);
            events = await runs.EventsAsync(tenantId, runId, seq, Page);
        }
        while (events.Count > 0)
        {
            foreach (RunEvent e in events) state.Apply(e);
            seq = events[^1].Seq;
            events = await runs.EventsAsync(tenantId, runId, seq, Page);
        }
        return new StoredFlow(input, state, seq, kept);
    }

    /// <summary>Makes a snapshot of what is stored of a run; the number of its last event, or 0 when there is none.</summary>
    public async Task<long> MakeAsync(string tenantId, string runId)
    {
        await _turn.WaitAsync();
        try
        {
            if (lifetime.ApplicationStopping.IsCancellationRequested) return 0;
            if (await ReadAsync(tenantId, runId) is not { } stored) return 0;
            await snapshots.KeepAsync(new FlowSnapshot { TenantId = tenantId, RunId = runId, Seq = stored.Seq, Format = FlowContent.Format, Data = stored.State.Content().Write(), At = time.GetUtcNow() });
            metrics.SnapshotMade();
            return stored.Seq;
        }
        catch (ObjectDisposedException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            return 0;
        }
        catch (Exception e)
        {
            // The next one may succeed, and until then the log is there.
            LogNotMade(e, runId);
            return 0;
        }
        finally
        {
            _turn.Release();
        }
    }

    private FlowState? TryRead(FlowSnapshot snapshot)
    {
        // Of an older version of the platform, or of a newer one that was stepped back.
        if (snapshot.Format != FlowContent.Format) return null;
        try
        {
            return FlowState.From(FlowContent.Read(snapshot.Data));
        }
        catch (Exception e) when (e is JsonException or InvalidDataException)
        {
            LogNotRead(e, snapshot.RunId);
            return null;
        }
    }

    [LoggerMessage(EventId = 1, EventName = "SnapshotNotMade", Level = LogLevel.Warning, Message = "A snapshot of run {RunId} could not be made; it is tried again as its log grows")]
    private partial void LogNotMade(Exception e, string runId);

    [LoggerMessage(EventId = 2, EventName = "SnapshotNotRead", Level = LogLevel.Warning, Message = "The snapshot of run {RunId} cannot be read; its whole log is")]
    private partial void LogNotRead(Exception e, string runId);
}

/// <summary>What is stored of a workflow's run.</summary>
/// <param name="Input">What it was given.</param>
/// <param name="State">What its log gives.</param>
/// <param name="Seq">The log's last event.</param>
/// <param name="SnapshotSeq">The last event of the snapshot that was read; 0 when the whole log was.</param>
internal sealed record StoredFlow(RunInput Input, FlowState State, long Seq, long SnapshotSeq);
