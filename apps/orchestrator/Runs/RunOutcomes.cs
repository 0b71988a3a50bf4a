using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Waits for the end of runs, in whichever process they are worked on.</summary>
internal sealed class RunOutcomes(RunEngine engine, IRunStore store, IRunLeases leases, TimeProvider time)
{
    /// <summary>Pause between two looks at a run of another process.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>The outcome; null when this process stops first.</summary>
    public async Task<RunOutcome?> WaitAsync(StartedRun started, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (started.Outcome is { } known) return known;
            if (started.Live is { } live)
            {
                if (await live.Outcome.WaitAsync(cancellationToken) is { } outcome) return outcome;
                // A workflow's may have been put to rest.
                if ((!leases.IsShared && started.Run.Kind != RunKind.Workflow) || engine.IsStopping) return null;
            }
            if (engine.Stopped.IsCancellationRequested) return null;
            await Task.Delay(Pause, time, cancellationToken);
            RunRecord run = await store.FindAsync(started.Run.TenantId, started.Run.Id) ?? started.Run;
            if (engine.IsStopping && !run.IsFinal) return null;
            started = await engine.LookAsync(run);
        }
    }
}
