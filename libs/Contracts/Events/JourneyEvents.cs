using System.Text.Json.Serialization;

namespace MultiAgent.Contracts.Events;

/// <summary>Several changes of journeys in one event, in the order in which they happened.</summary>
public sealed record JourneyBatch(IReadOnlyList<JourneyChange> Changes);

/// <summary>
/// One change of a user journey. A change is idempotent by <see cref="Id"/>. A journey that is known from its first to
/// its last step when it is recorded (one API request) is a single change of kind <c>recorded</c>.
/// Settable and required by attribute, since the serializer reads init-only and required members through an array of boxed values, and there is
/// one change for every request.
/// </summary>
public sealed record JourneyChange
{
    [JsonRequired]
    public string Id { get; set; } = "";
    [JsonRequired]
    public string JourneyId { get; set; } = "";
    [JsonRequired]
    public string TenantId { get; set; } = "";
    /// <summary><c>started</c>, <c>step</c>, <c>completed</c>, <c>abandoned</c>, <c>failed</c>, or <c>recorded</c> (start, steps and end at once).</summary>
    [JsonRequired]
    public string Kind { get; set; } = "";
    /// <summary>What the user is after, e.g. <c>chat</c>, <c>onboarding</c>, <c>checkout</c>.</summary>
    [JsonRequired]
    public string Type { get; set; } = "";
    public string? UserId { get; set; }
    [JsonRequired]
    public DateTimeOffset At { get; set; }
    /// <summary>Name of the step; with <c>recorded</c>, all steps joined by commas.</summary>
    public string? Step { get; set; }
    /// <summary>With <c>recorded</c>: how it ended, one of <c>completed</c>, <c>abandoned</c>, <c>failed</c>.</summary>
    public string? Outcome { get; set; }
    /// <summary>With <c>recorded</c>: from the first to the last step, milliseconds.</summary>
    public double? DurationMs { get; set; }
    /// <summary>Free key–value pairs; bounded by the API.</summary>
    public IReadOnlyDictionary<string, string>? Metadata { get; set; }
}
