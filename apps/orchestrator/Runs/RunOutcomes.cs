using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Waits for the end of runs, in whichever process they are worked on.</summary>
internal sealed class RunOutcomes(RunEngine engine, IRunStore store, IRunLeases leases, TimeProvider time)
{
    /// <summary>Pause between two looks at a run of another process.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    /// <summary>The outcome; null when this process stops first.</summary>
    /// <param name="started">The run.</param>
    /// <param name="cancellationToken">Fires when nobody waits any more.</param>
    /// <param name="orRest">A run that rests counts too: its row, and no message.</param>
    public async Task<RunOutcome?> WaitAsync(StartedRun started, CancellationToken cancellationToken, bool orRest = false)
    {
        while (true)
        {
            if (started.Outcome is { } known) return known;
            if (started.Live is { } live)
            {
                if (await live.Outcome.WaitAsync(cancellationToken) is { } outcome) return outcome;
                if (engine.IsStopping) return null;
            }
            if (engine.Stopped.IsCancellationRequested) return null;
            RunRecord run = await store.FindAsync(started.Run.TenantId, started.Run.Id) ?? started.Run;
            if (orRest && run.IsResting) return new RunOutcome(run, null);
            // It may have been put to rest; any other that has no outcome could not be stored, and the next start takes it up.
            bool elsewhere = leases.IsShared || run.Kind == RunKind.Workflow || run.IsResting || started.Live is null;
            if (!run.IsFinal && (!elsewhere || engine.IsStopping)) return null;
            if (!run.IsFinal) await Task.Delay(Pause, time, cancellationToken);
            started = await engine.LookAsync(run);
        }
    }
}
