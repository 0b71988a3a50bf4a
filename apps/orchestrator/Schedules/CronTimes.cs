using System.Text.RegularExpressions;
using Quartz;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>
/// Times of a cron expression in a time zone. Quartz reckons with daylight saving: a time that the clock skips fires when it has jumped, and one that it shows twice
/// fires once, while what comes every hour or minute comes in both.
/// </summary>
internal sealed partial class CronTimes
{
    private readonly CronExpression _expression;

    private CronTimes(CronExpression expression) => _expression = expression;

    /// <summary>Reads an expression; null, with what is wrong, when it is none.</summary>
    /// <param name="cron">Untrusted.</param>
    /// <param name="timeZone">Untrusted: an IANA name; null for UTC.</param>
    /// <param name="error">The member at fault and why.</param>
    public static CronTimes? TryParse(string cron, string? timeZone, out (string Member, string Message) error)
    {
        error = default;
        if (!TryFindZone(timeZone ?? "UTC", out TimeZoneInfo? zone))
        {
            error = ("timeZone", "must be the IANA name of a time zone, e.g. 'Europe/Berlin'.");
            return null;
        }
        // The library's own marks for "every" and "none", which no field has as a value: it would take 99 for every minute.
        if (Marks().IsMatch(cron))
        {
            error = ("cron", "is not a cron expression: 98 and 99 are no values of its fields.");
            return null;
        }
        try
        {
            bool unix = cron.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries).Length == 5;
            return new CronTimes((unix ? CronExpression.Parse(cron, CronFormat.Unix) : CronExpression.Parse(cron)).WithTimeZone(zone!));
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            error = ("cron", $"is not a cron expression: {e.Message.Split('\n')[0]}");
            return null;
        }
    }

    /// <summary>The next time after one; null when there is none.</summary>
    public DateTimeOffset? After(DateTimeOffset time) => _expression.GetNextValidTimeAfter(time)?.ToUniversalTime();

    [GeneratedRegex(@"(?<!\d)9[89](?!\d)")]
    private static partial Regex Marks();

    private static bool TryFindZone(string name, out TimeZoneInfo? zone)
    {
        zone = null;
        return name.Length <= 64 && (name == "UTC" || name.Contains('/', StringComparison.Ordinal)) && TimeZoneInfo.TryFindSystemTimeZoneById(name, out zone) && zone.HasIanaId;
    }
}
