namespace MultiAgent.Orchestrator.Workflows.Compensations;

/// <summary>How a dead letter stands.</summary>
internal enum DeadLetterStatus
{
    /// <summary>What was done is not undone: somebody has to look.</summary>
    Open,
    /// <summary>A run tries it again.</summary>
    Retrying,
    /// <summary>It was undone: by a run, or by a person who says so.</summary>
    Resolved,
    /// <summary>A person says that it need not be undone.</summary>
    Discarded,
}

/// <summary>A compensation of a workflow's run that failed for good.</summary>
internal sealed record DeadLetter
{
    /// <summary>With the prefix <c>cdl</c>.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    /// <summary>The run whose step is not undone.</summary>
    public required string RunId { get; init; }
    public required string WorkflowId { get; init; }
    public required string Workflow { get; init; }
    public required int WorkflowVersion { get; init; }
    /// <summary>Path of the step that was done.</summary>
    public required string Path { get; init; }
    /// <summary>Path of the step that was to undo it.</summary>
    public required string UndoPath { get; init; }
    /// <summary>Type of the step that was to undo it.</summary>
    public required string Kind { get; init; }
    /// <summary>What was to be done, as JSON: <c>tool</c> and <c>arguments</c>, or <c>agent</c> and <c>message</c>, and the <c>output</c> of the step that was done.</summary>
    public required string Subject { get; init; }
    public required string Code { get; init; }
    public required string Message { get; init; }
    /// <summary>Attempts so far, those of retries included.</summary>
    public required int Attempts { get; init; }
    public DeadLetterStatus Status { get; init; }
    /// <summary>How often it was tried again.</summary>
    public int Retries { get; init; }
    /// <summary>The run that tries it again, or did last.</summary>
    public string? RetryRunId { get; init; }
    /// <summary>Who closed it, or asked for the last retry.</summary>
    public string? By { get; init; }
    public string? Note { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>What a list of dead letters is narrowed to.</summary>
internal readonly record struct DeadLetterFilter(DeadLetterStatus? Status, string? Workflow, string? RunId);

/// <summary>Names of statuses as stored and on the wire.</summary>
internal static class DeadLetterNames
{
    private static readonly string[] Names = ["open", "retrying", "resolved", "discarded"];

    public static string Of(DeadLetterStatus status) => Names[(int)status];

    public static DeadLetterStatus? TryParse(string? name) => Array.IndexOf(Names, name) is >= 0 and var index ? (DeadLetterStatus)index : null;
}
