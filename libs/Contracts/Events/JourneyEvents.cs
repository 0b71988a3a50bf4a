namespace MultiAgent.Contracts.Events;

/// <summary>Several changes of journeys in one event, in the order in which they happened.</summary>
public sealed record JourneyBatch(IReadOnlyList<JourneyChange> Changes);

/// <summary>
/// One change of a user journey. A change is idempotent by <see cref="Id"/>. A journey that is known from its first to
/// its last step when it is recorded (one API request) is a single change of kind <c>recorded</c>.
/// </summary>
public sealed record JourneyChange
{
    public required string Id { get; init; }
    public required string JourneyId { get; init; }
    public required string TenantId { get; init; }
    /// <summary><c>started</c>, <c>step</c>, <c>completed</c>, <c>abandoned</c>, <c>failed</c>, or <c>recorded</c> (start, steps and end at once).</summary>
    public required string Kind { get; init; }
    /// <summary>What the user is after, e.g. <c>chat</c>, <c>onboarding</c>, <c>checkout</c>.</summary>
    public required string Type { get; init; }
    public string? UserId { get; init; }
    public required DateTimeOffset At { get; init; }
    /// <summary>Name of the step; with <c>recorded</c>, all steps joined by commas.</summary>
    public string? Step { get; init; }
    /// <summary>With <c>recorded</c>: how it ended, one of <c>completed</c>, <c>abandoned</c>, <c>failed</c>.</summary>
    public string? Outcome { get; init; }
    /// <summary>With <c>recorded</c>: from the first to the last step, milliseconds.</summary>
    public double? DurationMs { get; init; }
    /// <summary>Free key–value pairs; bounded by the API.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}
