using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Workflows.Forks;

namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>
/// A run that tries a compensation again begins with the log of the run that it is of, without what the compensation has tried: the workflow is gone through as after a
/// crash, arrives at the same place with the same values, and does what is missing there.
/// </summary>
internal static class CompensationRetry
{
    /// <param name="events">The log of the run, in order.</param>
    /// <param name="undoPath">The place of the compensation.</param>
    public static IReadOnlyList<RunEvent> Take(IReadOnlyList<RunEvent> events, string undoPath) => [.. events.Where(e => IsTaken(e, undoPath)).Select(WithoutUsage).OfType<RunEvent>()];

    private static bool IsTaken(RunEvent e, string undoPath) => e.Type switch
    {
        RunEventTypes.Compensating => true,
        RunEventTypes.StepStarted or RunEventTypes.StepRetrying or RunEventTypes.StepSkipped or RunEventTypes.StepFailed or RunEventTypes.StepCompleted or RunEventTypes.ChildCompleted or RunEventTypes.SubworkflowStarted
            or RunEventTypes.BlackboardRead or RunEventTypes.BlackboardWritten =>
            WorkflowFork.PathOf(e) is { } path && path != undoPath && !path.StartsWith($"{undoPath}/", StringComparison.Ordinal) && !path.StartsWith($"{undoPath}#", StringComparison.Ordinal),
        _ => false,
    };

    // What the run has paid for is not counted again.
    private static RunEvent? WithoutUsage(RunEvent e) => e.Type == RunEventTypes.ChildCompleted ? WorkflowFork.Without(e, "usage", requires: "output") : e;
}
