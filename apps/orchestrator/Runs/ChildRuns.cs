using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>What a run has done for it by another one.</summary>
/// <param name="Agent">The agent; null when it is a workflow.</param>
/// <param name="Workflow">The workflow; null when it is an agent.</param>
/// <param name="Input">What it is asked.</param>
/// <param name="Key">Follows from the place that asks, so that after a crash the same run is found again and not a second one started.</param>
/// <param name="RequestHash">What the key is for.</param>
/// <param name="RunId">The id that it is to have; made when null.</param>
/// <param name="EndsWith">See <see cref="LiveRun.EndsWith"/>.</param>
internal sealed record ChildRun(CompiledAgent? Agent, WorkflowVersion? Workflow, RunInput Input, string Key, string RequestHash, string? RunId = null, Func<RunWrite, Task<bool>>? EndsWith = null);

/// <summary>
/// Runs that are steps of other runs. A database that is away for a while is waited for, and so is a run after a crash until it is taken up: the run that
/// asks was accepted.
/// </summary>
internal sealed class ChildRuns(Lazy<RunEngine> engine, IRunStore store, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Starts a run for another one, or finds the one that was started under the same key.</summary>
    /// <exception cref="ApiException">It was refused.</exception>
    public Task<StartedRun> StartAsync(RunRecord parent, ChildRun child, CancellationToken abandoned, CancellationToken cancellationToken) =>
        PatientlyAsync(async () => await StartWithAsync(parent, child, null), abandoned, cancellationToken);

    /// <summary>The same without patience, and in one write with something of the run that asks.</summary>
    public ValueTask<StartedRun> StartWithAsync(RunRecord parent, ChildRun child, RunWrite? write) => engine.Value.StartAsync(new RunRequest
    {
        Agent = child.Agent,
        Workflow = child.Workflow,
        Caller = new Caller { TenantId = parent.TenantId, TenantSlug = "", UserId = parent.UserId, ApiKeyId = parent.ApiKeyId, Scopes = Scopes.None },
        RunId = child.RunId,
        Surface = RunInput.StepSurface,
        ParentRunId = parent.Id,
        ParentWrite = write,
        EndsWith = child.EndsWith,
        Input = child.Input,
        RequestId = parent.RequestId,
        IdempotencyKey = child.Key,
        RequestHash = child.RequestHash,
        // Whom it is for, above all.
        Metadata = parent.Metadata,
    });

    /// <summary>A run that was started before; null when it is gone.</summary>
    public async Task<StartedRun?> FindAsync(string tenantId, string runId, CancellationToken abandoned, CancellationToken cancellationToken) =>
        await PatientlyAsync(async () => await store.FindAsync(tenantId, runId), abandoned, cancellationToken) is { } run
            ? await PatientlyAsync(async () => await engine.Value.LookAsync(run), abandoned, cancellationToken) : null;

    /// <summary>
    /// Waits until a run has ended, in whichever process it is, or rests: then there is its row, and no message. One whose end is taken along by the run that started it has ended when that is decided.
    /// </summary>
    /// <param name="started">The run.</param>
    /// <param name="abandoned">Of the run that waits: the process stops, or has lost it.</param>
    /// <param name="cancellationToken">Fires when nobody waits any more.</param>
    public async Task<RunOutcome> EndOrRestAsync(StartedRun started, CancellationToken abandoned, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (started.Outcome is { } known) return known;
            if (started.Live is { } live && await (started.IsNew ? live.Decided : live.Outcome).WaitAsync(cancellationToken) is { } outcome) return outcome;
            abandoned.ThrowIfCancellationRequested();
            started = await FindAsync(started.Run.TenantId, started.Run.Id, abandoned, cancellationToken) ?? throw new InvalidOperationException($"The run {started.Run.Id} is gone.");
            if (started is not { Outcome: null, Live: null }) continue;
            if (started.Run.IsResting) return new RunOutcome(started.Run, null);
            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    /// <summary>Cancels the runs of a run that is about to end before them.</summary>
    public async Task CancelAsync(RunRecord parent)
    {
        foreach (RunRecord child in await PatientlyAsync(async () => await engine.Value.StepsAsync(parent), default, default))
            await PatientlyAsync(async () => await engine.Value.CancelAsync(child.TenantId, child.Id, StopCause.Requested), default, default);
    }

    /// <summary>Whether what was refused may be granted in a moment.</summary>
    public static bool IsPassing(Exception e) => e is OverloadedException or StorageUnavailableException or ApiException { Status: 429 or 503 };

    private async Task<T> PatientlyAsync<T>(Func<Task<T>> call, CancellationToken abandoned, CancellationToken cancellationToken)
    {
        long begun = time.GetTimestamp();
        while (true)
        {
            try
            {
                return await call();
            }
            catch (Exception e) when (IsPassing(e) && time.GetElapsedTime(begun) < Patience)
            {
                abandoned.ThrowIfCancellationRequested();
                await Task.Delay(Pause, time, cancellationToken);
            }
        }
    }
}
