using MultiAgent.Contracts;

namespace MultiAgent.Analytics.Requests;

/// <summary>Where to look for a request: its id begins with the time at which it arrived, and so the log needs no index of ids.</summary>
internal static class RequestIds
{
    public const string RecordPrefix = "rql";
    private const string RequestPrefix = "req";

    // The clock of the process that made the id stands for both; the rest is rounding.
    private static readonly TimeSpan Slack = TimeSpan.FromMinutes(1);

    /// <param name="id">A valid id of a record.</param>
    public static DateTimeOffset TimeOf(string id) => Ids.TimeOf(id, RecordPrefix);

    /// <summary>The part of a range in which a request lies, as far as its id says; the whole when it was the client that named it.</summary>
    public static TimeRange Narrow(TimeRange range, string? requestId)
    {
        if (!Ids.IsValid(requestId, RequestPrefix)) return range;
        DateTimeOffset at = Ids.TimeOf(requestId!, RequestPrefix);
        DateTimeOffset from = at - Slack, to = at + Slack;
        return new TimeRange(from > range.From ? from : range.From, to < range.To ? to : range.To);
    }
}
