namespace MultiAgent.Orchestrator.Schedules;

/// <summary>A schedule's row.</summary>
internal sealed record Schedule
{
    /// <summary>With the prefix <c>sch</c>.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public required ScheduleSpec Spec { get; init; }
    public bool Paused { get; init; }
    /// <summary>The next time by the clock; null when there is none.</summary>
    public DateTimeOffset? NextAt { get; init; }
    /// <summary>When <see cref="NextAt"/> fires: later by its jitter.</summary>
    public DateTimeOffset? DueAt { get; init; }
    /// <summary>The last time that was decided on.</summary>
    public DateTimeOffset? LastAt { get; init; }
    /// <summary>Grows with each change, so that what was decided on an older one is not kept.</summary>
    public long Revision { get; init; } = 1;
    public string? ApiKeyId { get; init; }
    public string? UserId { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>How a firing stands.</summary>
internal enum FiringState
{
    /// <summary>Its run is to be started.</summary>
    Pending,
    Started,
    Skipped,
    /// <summary>Its run could not be started.</summary>
    Failed,
}

/// <summary>One time that a schedule fired, or did not.</summary>
internal sealed record Firing
{
    public const string Overlap = "overlap";
    public const string Missed = "missed";
    public const string QueueFull = "queue_full";

    /// <summary>With the prefix <c>fir</c>. It follows from schedule and time, so that one time is there once.</summary>
    public required string Id { get; init; }
    public required string TenantId { get; init; }
    public required string ScheduleId { get; init; }
    /// <summary>The time by the clock.</summary>
    public required DateTimeOffset FireAt { get; init; }
    /// <summary>Asked for through the API.</summary>
    public bool Manual { get; init; }
    public FiringState State { get; init; }
    /// <summary>Why it was skipped or failed.</summary>
    public string? Reason { get; init; }
    /// <summary>When its start is tried.</summary>
    public required DateTimeOffset TryAt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>The id of its run, whether that was started or not: a start that is repeated finds the run.</summary>
    public string RunId => "run_" + Id["fir_".Length..];
}

/// <summary>Names of states as stored and on the wire.</summary>
internal static class FiringStates
{
    private static readonly string[] Names = ["pending", "started", "skipped", "failed"];

    public static string Of(FiringState state) => Names[(int)state];

    public static FiringState Parse(string name) => (FiringState)Array.IndexOf(Names, name);
}
