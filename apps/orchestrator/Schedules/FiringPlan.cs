using MultiAgent.Contracts;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>What a schedule that is due makes, and when it is due again.</summary>
/// <param name="Firings">Oldest first.</param>
/// <param name="NextAt">The next time by the clock; null when there is none.</param>
/// <param name="DueAt">When that fires.</param>
/// <param name="LastAt">The last time that was decided on.</param>
internal sealed record FiringPlan(IReadOnlyList<Firing> Firings, DateTimeOffset? NextAt, DateTimeOffset? DueAt, DateTimeOffset? LastAt)
{
    /// <summary>A time that is this late was missed: the platform was down, or far behind.</summary>
    public static readonly TimeSpan Grace = TimeSpan.FromMinutes(1);

    // Enough for a year of hours; what fell further behind is looked at near its end alone.
    private const int MaxLookBack = 10_000;
    private const int LooksNearTheEnd = 200;

    /// <summary>Decides on every time that is due. The same schedule and clock always give the same.</summary>
    public static FiringPlan Of(Schedule schedule, DateTimeOffset now)
    {
        CronTimes? cron = schedule.Spec.Cron is { } text ? CronTimes.TryParse(text, schedule.Spec.TimeZone, out _) : null;
        var missed = new Queue<DateTimeOffset>();
        var firings = new List<Firing>();
        DateTimeOffset? at = schedule.NextAt, last = schedule.LastAt;
        int steps = 0;
        while (at is { } time && Due(schedule, time) <= now)
        {
            if (++steps == MaxLookBack)
            {
                TimeSpan apart = (time - schedule.NextAt!.Value) / MaxLookBack;
                DateTimeOffset near = now - apart * LooksNearTheEnd;
                if (near > time) at = cron?.After(near);
                continue;
            }
            if (now - Due(schedule, time) > Grace)
            {
                missed.Enqueue(time);
                if (missed.Count > 100) missed.Dequeue();
            }
            else firings.Add(Firing(schedule, time, now, FiringState.Pending, null));
            last = time;
            at = cron?.After(time);
        }
        firings.InsertRange(0, CaughtUp(schedule, [.. missed], now));
        return new FiringPlan(firings, at, at is { } next ? Due(schedule, next) : null, last);
    }

    /// <summary>When a time fires: later by its jitter, which follows from schedule and time.</summary>
    public static DateTimeOffset Due(Schedule schedule, DateTimeOffset at)
    {
        if (schedule.Spec.JitterSeconds is not (> 0 and var most)) return at;
        // A part of the id that this time and schedule always make.
        uint chance = 0;
        foreach (char c in Ids.Of("j", at, $"{schedule.Id}\n{at.UtcTicks}").AsSpan()[^12..]) chance = chance * 31 + c;
        return at.AddMilliseconds(chance % (uint)(most * 1000));
    }

    /// <summary>The first time of a schedule from now on.</summary>
    public static DateTimeOffset? First(ScheduleSpec spec, DateTimeOffset now) =>
        spec.At is { } once ? once > now ? once : null : CronTimes.TryParse(spec.Cron!, spec.TimeZone, out _)?.After(now);

    public static Firing Firing(Schedule schedule, DateTimeOffset at, DateTimeOffset now, FiringState state, string? reason) => new()
    {
        Id = Ids.Of("fir", at, schedule.Id), TenantId = schedule.TenantId, ScheduleId = schedule.Id, FireAt = at, State = state, Reason = reason, TryAt = now, CreatedAt = now,
    };

    private static IEnumerable<Firing> CaughtUp(Schedule schedule, DateTimeOffset[] missed, DateTimeOffset now)
    {
        int most = schedule.Spec.CatchUp switch { "one" => 1, "all" => schedule.Spec.MaxCatchUp ?? ScheduleSpec.DefaultMaxCatchUp, _ => 0 };
        for (int i = 0; i < missed.Length; i++)
        {
            if (i >= missed.Length - most) yield return Firing(schedule, missed[i], now, FiringState.Pending, null);
            // The last one that was left out stands for those before it.
            else if (i == missed.Length - most - 1) yield return Firing(schedule, missed[i], now, FiringState.Skipped, Schedules.Firing.Missed);
        }
    }
}
