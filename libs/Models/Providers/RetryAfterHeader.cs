using System.Globalization;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models.Providers;

/// <summary>Reads how long a provider asks to wait.</summary>
internal static class RetryAfterHeader
{
    public static TimeSpan? Read(UpstreamResponse response, TimeProvider time)
    {
        if (double.TryParse(response.Header("retry-after-ms"), NumberStyles.Float, CultureInfo.InvariantCulture, out double milliseconds))
            return Bounded(milliseconds / 1000);
        if (response.Header("retry-after") is not { } text) return null;
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds)) return Bounded(seconds);
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset date)
            ? Bounded((date - time.GetUtcNow()).TotalSeconds)
            : null;
    }

    // The number comes from outside: NaN, infinities and centuries would break the arithmetic that follows.
    private static TimeSpan? Bounded(double seconds) => double.IsNaN(seconds) ? null : TimeSpan.FromSeconds(Math.Clamp(seconds, 0, 86_400));
}
