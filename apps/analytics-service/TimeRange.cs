using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;

namespace MultiAgent.Analytics;

/// <summary>Query parameters <c>from</c> (inclusive) and <c>to</c> (exclusive); the last 30 days where they are not given.</summary>
internal readonly record struct TimeRange(DateTimeOffset From, DateTimeOffset To)
{
    /// <exception cref="ApiException">400: the range is empty or longer than 400 days.</exception>
    public static TimeRange Of(DateTimeOffset? from, DateTimeOffset? to, TimeProvider time)
    {
        DateTimeOffset end = to ?? time.GetUtcNow().AddSeconds(1);
        DateTimeOffset start = from ?? end.AddDays(-30);
        if (start >= end) throw new ApiException(400, ErrorCodes.ValidationFailed, "'from' must be before 'to'.", "from");
        if (end - start > TimeSpan.FromDays(400)) throw new ApiException(400, ErrorCodes.ValidationFailed, "The range may span at most 400 days.", "from");
        return new TimeRange(start, end);
    }
}
