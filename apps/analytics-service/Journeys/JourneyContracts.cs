using System.Text.Json.Serialization;

namespace MultiAgent.Analytics.Journeys;

/// <summary>Body of <c>POST /api/v1/journeys</c>.</summary>
internal sealed record StartJourney(string? Type, string? UserId, IReadOnlyDictionary<string, string>? Metadata);

/// <summary>Body of <c>POST /api/v1/journeys/{id}/steps</c>.</summary>
internal sealed record AddJourneyStep(string? Name, IReadOnlyDictionary<string, string>? Metadata);

/// <summary>Body of <c>POST /api/v1/journeys/{id}/complete</c> and <c>/abandon</c>; may be left out.</summary>
internal sealed record EndJourney(string? Reason);

/// <summary>A journey. Steps come with a single journey, not with lists.</summary>
internal sealed record JourneyItem(
    string Id, string Type, string? UserId, string Status, DateTimeOffset StartedAt, DateTimeOffset LastSeenAt, DateTimeOffset? EndedAt, double? DurationMs,
    int StepCount, string? Reason, IReadOnlyDictionary<string, string>? Metadata, IReadOnlyList<JourneyStepItem>? Steps);

/// <summary>A step; its time is absent where the journey was recorded whole.</summary>
internal sealed record JourneyStepItem(string Name, DateTimeOffset? At, IReadOnlyDictionary<string, string>? Metadata);

[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
internal sealed partial class JourneyJson : JsonSerializerContext;
