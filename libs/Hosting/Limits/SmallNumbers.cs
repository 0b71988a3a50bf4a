using System.Globalization;

namespace MultiAgent.Hosting.Limits;

/// <summary>Texts of small numbers, for headers that every response carries.</summary>
public static class SmallNumbers
{
    private static readonly string[] Known = [.. Enumerable.Range(0, 2048).Select(n => n.ToString(CultureInfo.InvariantCulture))];
    private static readonly string[] KnownThousandths = [.. Enumerable.Range(0, 2048).Select(n => (n / 1000m).ToString("0.000", CultureInfo.InvariantCulture))];
    private static readonly string[] KnownMs = [.. Enumerable.Range(0, 256).Select(n => n.ToString(CultureInfo.InvariantCulture) + "ms")];

    /// <summary>The number in decimal digits.</summary>
    public static string Text(long value) =>
        value >= 0 && value < Known.Length ? Known[value] : value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Microseconds as milliseconds with three decimals: <c>0.042</c>.</summary>
    public static string Thousandths(long micros) =>
        micros >= 0 && micros < KnownThousandths.Length ? KnownThousandths[micros] : (micros / 1000m).ToString("0.000", CultureInfo.InvariantCulture);

    /// <summary>OpenAI's format of a duration: <c>20ms</c>, <c>1.5s</c>, <c>6m0s</c>.</summary>
    public static string Milliseconds(long ms) => ms switch
    {
        >= 0 and < 256 => KnownMs[ms],
        < 1000 => $"{ms}ms",
        < 60_000 => string.Create(CultureInfo.InvariantCulture, $"{ms / 1000.0:0.###}s"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{ms / 60_000}m{ms / 1000 % 60}s"),
    };
}
