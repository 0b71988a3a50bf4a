using MultiAgent.Models;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Where a run stands. The last three are final.</summary>
internal enum RunStatus
{
    Queued,
    Running,
    /// <summary>It waits for a time, a person or an event, and costs nothing meanwhile.</summary>
    Waiting,
    /// <summary>It was asked to rest, and goes on when it is asked to.</summary>
    Paused,
    Completed,
    Failed,
    Cancelled,
}

/// <summary>What a run runs.</summary>
internal enum RunKind
{
    Agent,
    Workflow,
}

/// <summary>A run's row. What happens in it is in its events.</summary>
internal sealed record RunRecord
{
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public string? ConversationId { get; init; }
    public RunKind Kind { get; init; }
    /// <summary>The run that started this one as one of its steps.</summary>
    public string? ParentRunId { get; init; }
    /// <summary>Id of the agent or workflow.</summary>
    public required string AgentId { get; init; }
    /// <summary>Slug of the agent or workflow.</summary>
    public required string Agent { get; init; }
    public required int AgentVersion { get; init; }
    /// <summary><c>chat</c> (/api/v1/chat), <c>completion</c> (/v1/chat/completions), <c>response</c> (/v1/responses), <c>run</c> (/api/v1/runs), <c>schedule</c>, <c>mcp</c>, <c>a2a</c>, <c>compensation</c> (tries again what a run could not undo) or <c>step</c> (of another run).</summary>
    public required string Surface { get; init; }
    public required RunStatus Status { get; init; }
    public string? Reason { get; init; }
    public RunError? Error { get; init; }
    public string? IdempotencyKey { get; init; }
    public string? RequestHash { get; init; }
    public required string RequestId { get; init; }
    public string? ApiKeyId { get; init; }
    public string? UserId { get; init; }
    public required string JourneyId { get; init; }
    public string? TraceParent { get; init; }
    public string? Metadata { get; init; }
    public int Steps { get; init; }
    public TokenUsage Usage { get; init; }
    public decimal? CostUsd { get; init; }
    /// <summary>The result of a workflow, UTF-8 JSON.</summary>
    public byte[]? Output { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? EndedAt { get; init; }
    /// <summary>The process that works on the run, or did last.</summary>
    public string? LeaseOwner { get; init; }
    /// <summary>Grows when the run changes hands; every write carries it.</summary>
    public long LeaseEpoch { get; init; } = 1;

    /// <summary>Nobody works on it, and it is not over.</summary>
    public bool IsResting => Status is RunStatus.Waiting or RunStatus.Paused;

    public bool IsFinal => Status is RunStatus.Completed or RunStatus.Failed or RunStatus.Cancelled;
}

/// <summary>Why a run failed; the message is for the client and holds no secret.</summary>
internal sealed record RunError(int Status, string Code, string Message);

/// <summary>Names of kinds as stored and on the wire.</summary>
internal static class RunKindNames
{
    public static string Of(RunKind kind) => kind == RunKind.Workflow ? "workflow" : "agent";

    public static RunKind Parse(string name) => name == "workflow" ? RunKind.Workflow : RunKind.Agent;
}

/// <summary>Names of statuses as stored and on the wire.</summary>
internal static class RunStatusNames
{
    private static readonly string[] Names = ["queued", "running", "waiting", "paused", "completed", "failed", "cancelled"];

    public static string Of(RunStatus status) => Names[(int)status];

    public static bool TryParse(string? name, out RunStatus status)
    {
        int index = Array.IndexOf(Names, name);
        status = (RunStatus)Math.Max(0, index);
        return index >= 0;
    }
}
