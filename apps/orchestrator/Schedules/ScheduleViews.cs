using System.Text.Json;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>A schedule as the API shows it.</summary>
internal sealed record ScheduleView
{
    private const int Ahead = 5;

    public required string Id { get; init; }
    public string? Name { get; init; }
    public string? Cron { get; init; }
    public string? TimeZone { get; init; }
    public DateTimeOffset? At { get; init; }
    public required int JitterSeconds { get; init; }
    public required string CatchUp { get; init; }
    public int? MaxCatchUp { get; init; }
    public required string Overlap { get; init; }
    public string? Agent { get; init; }
    public string? Message { get; init; }
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }
    public string? Workflow { get; init; }
    public JsonElement? Inputs { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
    /// <summary><c>active</c>, <c>paused</c>, or <c>ended</c> when no time is left.</summary>
    public required string Status { get; init; }
    /// <summary>The next times by the clock, without jitter.</summary>
    public required IReadOnlyList<DateTimeOffset> Upcoming { get; init; }
    public DateTimeOffset? LastFiredAt { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }

    public static ScheduleView Of(Schedule schedule)
    {
        ScheduleSpec spec = schedule.Spec;
        var upcoming = new List<DateTimeOffset>();
        CronTimes? cron = spec.Cron is null ? null : CronTimes.TryParse(spec.Cron, spec.TimeZone, out _);
        for (DateTimeOffset? at = schedule.Paused ? null : schedule.NextAt; at is { } time && upcoming.Count < Ahead; at = cron?.After(time)) upcoming.Add(time);
        return new ScheduleView
        {
            Id = schedule.Id, Name = spec.Name, Cron = spec.Cron, TimeZone = spec.Cron is null ? null : spec.TimeZone ?? "UTC", At = spec.At, JitterSeconds = spec.JitterSeconds ?? 0, CatchUp = spec.CatchUp ?? "skip",
            MaxCatchUp = spec.CatchUp == "all" ? spec.MaxCatchUp ?? ScheduleSpec.DefaultMaxCatchUp : null, Overlap = spec.Overlap ?? "skip", Agent = spec.Agent, Message = spec.Message, Variables = spec.Variables,
            Workflow = spec.Workflow, Inputs = spec.Inputs, Metadata = spec.Metadata, Status = schedule.Paused ? "paused" : schedule.NextAt is null ? "ended" : "active", Upcoming = upcoming, LastFiredAt = schedule.LastAt,
            CreatedAt = schedule.CreatedAt, UpdatedAt = schedule.UpdatedAt,
        };
    }
}

/// <summary>A firing as the API shows it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="FireAt">The time by the clock.</param>
/// <param name="Manual">It was asked for.</param>
/// <param name="Status"><c>pending</c>, <c>started</c>, <c>skipped</c> or <c>failed</c>.</param>
/// <param name="Reason">Why it was skipped or failed: <c>overlap</c>, <c>missed</c> (and those before it), <c>queue_full</c>, or an error code.</param>
/// <param name="RunId">Its run, once that is started.</param>
internal sealed record FiringView(string Id, DateTimeOffset FireAt, bool Manual, string Status, string? Reason, string? RunId)
{
    public static FiringView Of(Firing firing) => new(firing.Id, firing.FireAt, firing.Manual, FiringStates.Of(firing.State), firing.Reason, firing.State == FiringState.Started ? firing.RunId : null);
}
