using MultiAgent.Orchestrator.Schedules;

namespace MultiAgent.Orchestrator.Tests.Schedules;

/// <summary>What fires when: cron with daylight saving, jitter, and what was missed.</summary>
[Trait("Database", "once")]
public sealed class FiringPlanTests
{
    // Europe/Berlin goes to summer time on 29 March 2026 at 02:00, and back on 25 October at 03:00.
    [Theory]
    [InlineData("30 2 * * *", "2026-03-28T02:00Z", "2026-03-29T01:00Z 2026-03-30T00:30Z")] // skipped by the clock: when it has jumped
    [InlineData("30 2 * * *", "2026-10-24T12:00Z", "2026-10-25T00:30Z 2026-10-26T01:30Z")] // shown twice: once, and not again an hour later
    [InlineData("0 * * * *", "2026-10-24T23:30Z", "2026-10-25T00:00Z 2026-10-25T01:00Z 2026-10-25T02:00Z")] // every hour: in both
    [InlineData("0 * * * *", "2026-03-28T23:30Z", "2026-03-29T00:00Z 2026-03-29T01:00Z 2026-03-29T02:00Z")]
    [InlineData("0 9 * * 1-5", "2026-03-27T12:00Z", "2026-03-30T07:00Z 2026-03-31T07:00Z")] // nine o'clock stays nine o'clock
    [InlineData("0 0 9 ? * MON-FRI", "2026-10-23T12:00Z", "2026-10-26T08:00Z")]
    [InlineData("0 0 29 2 *", "2026-01-01T00:00Z", "2028-02-28T23:00Z")]
    public void Cron_InATimeZone_ReckonsWithDaylightSaving(string cron, string from, string expected)
    {
        CronTimes times = CronTimes.TryParse(cron, "Europe/Berlin", out _)!;
        DateTimeOffset? at = Time(from);

        foreach (string next in expected.Split(' '))
        {
            at = times.After(at!.Value);
            Assert.Equal(Time(next), at);
        }
    }

    [Theory]
    [InlineData("nope", null, "cron")]
    [InlineData("99 * * * *", null, "cron")]
    [InlineData("0 5,98 * * *", null, "cron")]
    [InlineData("60 * * * *", null, "cron")]
    [InlineData("* * *", null, "cron")]
    [InlineData("0 * * * *", "Mars/Olympus", "timeZone")]
    [InlineData("0 * * * *", "../etc/passwd", "timeZone")]
    public void Cron_ThatIsNone_NamesTheMember(string cron, string? zone, string member)
    {
        Assert.Null(CronTimes.TryParse(cron, zone, out (string Member, string Message) error));
        Assert.Equal(member, error.Member);
    }

    [Theory]
    [InlineData(null, "", "05:00s")]
    [InlineData("one", "05:00", "04:00s")]
    [InlineData("all", "03:00 04:00 05:00", "02:00s")]
    public void Downtime_IsCaughtUpAsThePolicySays(string? catchUp, string fired, string skipped)
    {
        FiringPlan plan = FiringPlan.Of(Hourly() with { Spec = Hourly().Spec with { CatchUp = catchUp, MaxCatchUp = 3 } }, Time("2026-01-01T05:30Z"));

        Assert.Equal(fired, string.Join(' ', plan.Firings.Where(f => f.State == FiringState.Pending).Select(f => f.FireAt.ToString("HH:mm", null))));
        Assert.Equal(skipped, string.Join(' ', plan.Firings.Where(f => f.State == FiringState.Skipped).Select(f => f.FireAt.ToString("HH:mm", null) + "s")));
        Assert.Equal((Time("2026-01-01T06:00Z"), Time("2026-01-01T05:00Z")), (plan.NextAt, plan.LastAt));
    }

    [Fact]
    public void TimeThatIsDueNow_FiresBesideThoseThatWereMissed()
    {
        FiringPlan plan = FiringPlan.Of(Hourly() with { Spec = Hourly().Spec with { CatchUp = "one" } }, Time("2026-01-01T05:00:20Z"));

        Assert.Equal(["04:00", "05:00"], plan.Firings.Where(f => f.State == FiringState.Pending).Select(f => f.FireAt.ToString("HH:mm", null)));
    }

    [Fact]
    public void Plan_OfTheSameTime_HasTheSameIds()
    {
        Firing[] twice = [.. Enumerable.Range(0, 2).Select(i => FiringPlan.Of(Hourly(), Time("2026-01-01T01:00:00Z").AddSeconds(i)).Firings.Single())];

        Assert.Equal(twice[0].Id, twice[1].Id);
        Assert.NotEqual(twice[0].Id, FiringPlan.Of(Hourly() with { Id = "sch_2" }, Time("2026-01-01T01:00:00Z")).Firings.Single().Id);
        Assert.StartsWith("run_", twice[0].RunId, StringComparison.Ordinal);
    }

    [Fact]
    public void Jitter_IsWithinItsBoundsAndTheSameForATime()
    {
        Schedule schedule = Hourly() with { Spec = Hourly().Spec with { JitterSeconds = 600 } };
        TimeSpan[] late = [.. Enumerable.Range(0, 50).Select(i => FiringPlan.Due(schedule, Time("2026-01-01T00:00Z").AddHours(i)) - Time("2026-01-01T00:00Z").AddHours(i))];

        Assert.All(late, l => Assert.InRange(l, TimeSpan.Zero, TimeSpan.FromSeconds(600)));
        Assert.True(late.Distinct().Count() > 40);
        Assert.Equal(FiringPlan.Due(schedule, Time("2026-01-01T01:00Z")), FiringPlan.Due(schedule, Time("2026-01-01T01:00Z")));
        Assert.Empty(FiringPlan.Of(schedule, FiringPlan.Due(schedule, Time("2026-01-01T01:00Z")).AddMilliseconds(-1)).Firings);
        Assert.Single(FiringPlan.Of(schedule, FiringPlan.Due(schedule, Time("2026-01-01T01:00Z"))).Firings);
    }

    [Fact]
    public void OneTime_FiresOnceAndEnds()
    {
        Schedule once = Hourly() with { Spec = new ScheduleSpec { At = Time("2026-01-01T01:00Z"), Agent = "a", Message = "m" } };

        FiringPlan plan = FiringPlan.Of(once, Time("2026-01-01T01:00:01Z"));

        Assert.Single(plan.Firings);
        Assert.Null(plan.NextAt);
        Assert.Null(FiringPlan.First(once.Spec, Time("2026-01-01T02:00Z")));
    }

    [Fact]
    public void YearsOfDowntime_AreBounded()
    {
        Schedule minutely = Hourly() with { Spec = Hourly().Spec with { Cron = "* * * * *", CatchUp = "all", MaxCatchUp = 5 } };

        FiringPlan plan = FiringPlan.Of(minutely, Time("2027-06-01T00:00:30Z"));

        Assert.InRange(plan.Firings.Count, 1, 7);
        Assert.Equal(Time("2027-06-01T00:01Z"), plan.NextAt);
    }

    internal static Schedule Hourly(string id = "sch_1", string tenant = "ten_a") => new()
    {
        Id = id, TenantId = tenant, Spec = new ScheduleSpec { Cron = "0 * * * *", Agent = "helper", Message = "Hi" }, NextAt = Time("2026-01-01T01:00Z"), DueAt = Time("2026-01-01T01:00Z"),
        CreatedAt = Time("2026-01-01T00:00Z"), UpdatedAt = Time("2026-01-01T00:00Z"),
    };

    internal static DateTimeOffset Time(string text) => DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}
