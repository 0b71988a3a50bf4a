namespace MultiAgent.Analytics.Journeys;

/// <summary>Section <c>Journeys</c>.</summary>
public sealed class JourneyOptions
{
    /// <summary>Minutes without a step after which an active journey counts as abandoned. Default 30; at least 1.</summary>
    public int AbandonAfterMinutes { get; set; } = 30;

    /// <summary>Seconds between two looks for abandoned journeys. Default 30; at least 1.</summary>
    public int SweepSeconds { get; set; } = 30;
}
