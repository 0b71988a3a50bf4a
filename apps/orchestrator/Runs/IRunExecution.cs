using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>What works a run off: an agent's loop, or a workflow's steps.</summary>
internal interface IRunExecution
{
    /// <summary>The final row, once the run has ended; null when it waits, or was left for another process.</summary>
    RunOutcome? Outcome { get; }

    /// <summary>Names of the steps that were taken, for the journey.</summary>
    IReadOnlyList<string> StepNames { get; }

    /// <summary>Runs to the end, or until it has to wait, or until the process stops. Failures become the run's outcome.</summary>
    /// <exception cref="OperationCanceledException">The process stops, or lost the run; it stays unfinished.</exception>
    /// <exception cref="LeaseLostException">Another process works on the run.</exception>
    Task RunAsync(bool resumed);

    /// <summary>Ends the run after a fault of the platform.</summary>
    Task FailAsync();
}
