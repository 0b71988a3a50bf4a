namespace MultiAgent.Contracts.Events;

/// <summary>A run reached its end. Runs that are steps of others are not told of.</summary>
public sealed record RunEnded
{
    public required string RunId { get; init; }
    public required string TenantId { get; init; }
    public required string Agent { get; init; }
    public required int AgentVersion { get; init; }
    public string? ConversationId { get; init; }
    /// <summary>The journey that the run's start began and that ends with it; null where the run is not a journey of its own.</summary>
    public string? JourneyId { get; init; }
    public string? UserId { get; init; }
    /// <summary><c>completed</c>, <c>failed</c> or <c>cancelled</c>.</summary>
    public required string Status { get; init; }
    /// <summary>Why it stopped when it did not complete, e.g. <c>max_steps</c>.</summary>
    public string? Reason { get; init; }
    public required int Steps { get; init; }
    public required long InputTokens { get; init; }
    public required long OutputTokens { get; init; }
    public decimal? CostUsd { get; init; }
    public required double DurationMs { get; init; }
    public required DateTimeOffset At { get; init; }
}

/// <summary>A run asks a person, and waits for the answer.</summary>
public sealed record ApprovalRequested
{
    public required string ApprovalId { get; init; }
    public required string RunId { get; init; }
    public required string TenantId { get; init; }
    /// <summary>Slug of the agent or workflow.</summary>
    public required string Agent { get; init; }
    public string? Title { get; init; }
    /// <summary>The role that a person needs to answer.</summary>
    public string? Role { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }
    public required DateTimeOffset At { get; init; }
}

/// <summary>A step of a workflow's run could not be undone.</summary>
public sealed record CompensationFailed
{
    public required string RunId { get; init; }
    public required string TenantId { get; init; }
    /// <summary>Slug of the workflow.</summary>
    public required string Workflow { get; init; }
    /// <summary>Path of the step.</summary>
    public required string Step { get; init; }
    public required string Code { get; init; }
    public required string Message { get; init; }
    /// <summary>Where it waits for somebody to deal with it.</summary>
    public required string DeadLetterId { get; init; }
    public required DateTimeOffset At { get; init; }
}

/// <summary>A key was revoked, a user changed, a tenant suspended: whoever caches callers forgets what matches.</summary>
public sealed record CallerChanged(string TenantId, string? ApiKeyId, string? UserId);
