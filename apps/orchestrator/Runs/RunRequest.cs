using MultiAgent.Contracts.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>A request to run an agent or a workflow, checked by its surface.</summary>
internal sealed record RunRequest
{
    public required Caller Caller { get; init; }
    /// <summary>The agent to run; null when it is a workflow.</summary>
    public CompiledAgent? Agent { get; init; }
    /// <summary>The workflow to run; null when it is an agent.</summary>
    public WorkflowVersion? Workflow { get; init; }
    /// <summary>What an earlier run of the workflow did, which this one goes on from; numbered from 1.</summary>
    public IReadOnlyList<RunEvent> Done { get; init; } = [];
    /// <summary>What that run's blackboard held, as far as this one goes on from it.</summary>
    public IReadOnlyList<BlackboardWrite> Board { get; init; } = [];
    /// <summary>The run that this one is a step of. It has a slot of the tenant's concurrency already.</summary>
    public string? ParentRunId { get; init; }
    /// <summary>See <see cref="NewRun.ParentWrite"/>.</summary>
    public RunWrite? ParentWrite { get; init; }
    /// <summary>See <see cref="LiveRun.EndsWith"/>.</summary>
    public Func<RunWrite, Task<bool>>? EndsWith { get; init; }
    /// <summary>The id that the run is to have; made when null.</summary>
    public string? RunId { get; init; }
    public required string Surface { get; init; }
    public required RunInput Input { get; init; }
    public required string RequestId { get; init; }

    /// <summary>An existing conversation, or the id of the one to make; null for completions.</summary>
    public string? ConversationId { get; init; }
    public string? IdempotencyKey { get; init; }

    /// <summary>What the key stands for; required with a key.</summary>
    public string? RequestHash { get; init; }
    public string? Metadata { get; init; }
}

/// <summary>A run that was started, or that the idempotency key named.</summary>
/// <param name="Run">The row when it was looked up.</param>
/// <param name="Live">Follow this while the run is active.</param>
/// <param name="Outcome">Set when the run has ended.</param>
internal sealed record StartedRun(RunRecord Run, LiveRun? Live, RunOutcome? Outcome)
{
    /// <summary>It was stored by this request, and what came with it.</summary>
    public bool IsNew { get; init; }
}

/// <summary>How a request to pause or to go on ended.</summary>
internal enum PauseOutcome
{
    NotFound,
    /// <summary>It has ended, or is not paused.</summary>
    Refused,
    Accepted,
}

/// <summary>How a request to cancel ended.</summary>
internal enum CancelOutcome
{
    NotFound,
    NotActive,
    Cancelling,
}
