using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MultiAgent.Bench.Gateway;

/// <summary>Sleeps to the microsecond; Thread.Sleep is only good to a millisecond, more than what is measured here.</summary>
internal static class MonotonicClock
{
    private const int ClockMonotonic = 1;
    private const int AbsoluteTime = 1;

    /// <summary>Nanoseconds; on Linux the stopwatch reads the same clock as <see cref="SleepUntil"/>.</summary>
    public static long Now => Stopwatch.GetTimestamp();

    public static void SleepUntil(long nanoseconds)
    {
        var time = new TimeSpec(nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        // A signal may end the sleep early; the time is absolute, so it is asked for again.
        while (Now < nanoseconds && clock_nanosleep(ClockMonotonic, AbsoluteTime, ref time, IntPtr.Zero) != 0)
        {
        }
    }

    [DllImport("libc", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int clock_nanosleep(int clock, int flags, ref TimeSpec request, IntPtr remaining);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct TimeSpec(long Seconds, long Nanoseconds);
}
