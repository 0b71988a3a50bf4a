using System.Globalization;
using System.Text;

namespace MultiAgent.Bench.Gateway;

/// <summary>One Markdown table per kind of scenario. Ratios are to YARP in the same table.</summary>
internal static class Tables
{
    private delegate string Cell(Measurement row, Measurement? yarp);

    public static string Render(ScenarioResult result)
    {
        var columns = Columns(result.Layout);
        var yarp = result.Measurements.FirstOrDefault(m => m.Label == CandidateList.Yarp && m.Problem is null);
        var text = new StringBuilder();
        text.Append("| |").AppendJoin('|', columns.Select(column => $" {column.Header} ")).AppendLine("|");
        text.Append("|---|").AppendJoin('|', columns.Select(_ => "---:")).AppendLine("|");
        foreach (var row in result.Measurements)
        {
            var cells = row.Problem is { } problem
                ? columns.Select((_, index) => index == 0 ? $" {problem} " : " ")
                : columns.Select(column => $" {column.Cell(row, yarp)} ");
            text.Append(CultureInfo.InvariantCulture, $"| {row.Label} |").AppendJoin('|', cells).AppendLine("|");
        }
        return text.ToString();
    }

    private static (string Header, Cell Cell)[] Columns(Layout layout) => layout switch
    {
        Layout.ClosedLoop =>
        [
            ("requests/s", (row, _) => Number(row.Median(r => r.RequestsPerSecond), 0)),
            ("CPU ms/request", (row, _) => Number(CpuPerRequest(row), 3)),
            ("requests per CPU s", (row, _) => Number(PerCpuSecond(row), 0)),
            ("per CPU s, × YARP", (row, yarp) => Ratio(PerCpuSecond(row), yarp, PerCpuSecond)),
            ("allocated KB/request", (row, _) => Allocated(row)),
            ("p50 ms", (row, _) => Number(row.Median(r => r.Load.Latency.P50), 2)),
            ("p99 ms", (row, _) => Number(row.Median(r => r.Load.Latency.P99), 2)),
            ("RSS MB", (row, _) => Resident(row)),
            ("failed", (row, _) => Number(row.Failures, 0)),
        ],
        Layout.Paced =>
        [
            ("streams/s", (row, _) => Number(row.Median(r => r.RequestsPerSecond), 0)),
            ("CPU ms/stream", (row, _) => Number(CpuPerRequest(row), 2)),
            ("× YARP", (row, yarp) => Ratio(CpuPerRequest(row), yarp, CpuPerRequest)),
            ("allocated KB/stream", (row, _) => Allocated(row)),
            ("first byte p50 ms", (row, _) => Number(row.Median(r => r.Load.FirstByte!.P50), 2)),
            ("first byte p99 ms", (row, _) => Number(row.Median(r => r.Load.FirstByte!.P99), 2)),
            ("whole p50 ms", (row, _) => Number(row.Median(r => r.Load.Latency.P50), 1)),
            ("RSS MB", (row, _) => Resident(row)),
            ("failed", (row, _) => Number(row.Failures, 0)),
        ],
        Layout.OpenLoop =>
        [
            ("p50 ms", (row, _) => Number(P50(row), 2)),
            ("p90 ms", (row, _) => Number(row.Median(r => r.Load.Latency.P90), 2)),
            ("p99 ms", (row, _) => Number(P99(row), 2)),
            ("p99.9 ms", (row, _) => Number(row.Median(r => r.Load.Latency.P999), 2)),
            ("p50 − YARP ms", (row, yarp) => yarp is null ? "" : Number(P50(row) - P50(yarp), 2)),
            ("p99 × YARP", (row, yarp) => Ratio(P99(row), yarp, P99)),
            ("CPU ms/request", (row, _) => Number(CpuPerRequest(row), 3)),
            ("failed", (row, _) => Number(row.Failures, 0)),
        ],
        Layout.Abort =>
        [
            ("hang-ups", (row, _) => Number(row.Rounds.Sum(r => r.Load.Requests), 0)),
            ("p50 ms", (row, _) => Number(P50(row), 2)),
            ("p99 ms", (row, _) => Number(P99(row), 2)),
            ("longest ms", (row, _) => Number(row.Rounds.Max(r => r.Load.Latency.P999), 2)),
            ("not seen", (row, _) => Number(row.Failures, 0)),
        ],
        Layout.Memory =>
        [
            ("RSS MB", (row, _) => Resident(row)),
            ("heap MB", (row, _) => Number(row.Median(r => (r.AllocatedBytes ?? 0) / 1048576.0), 1)),
            ("requests", (row, _) => Number(row.Median(r => r.Load.Requests), 0)),
            ("failed", (row, _) => Number(row.Failures, 0)),
        ],
        _ => throw new ArgumentOutOfRangeException(nameof(layout), layout, "No table for it."),
    };

    private static double CpuPerRequest(Measurement row) => row.Median(r => r.CpuMillisecondsPerRequest);

    private static double PerCpuSecond(Measurement row) => 1000 / CpuPerRequest(row);

    private static double P50(Measurement row) => row.Median(r => r.Load.Latency.P50);

    private static double P99(Measurement row) => row.Median(r => r.Load.Latency.P99);

    private static string Allocated(Measurement row) =>
        row.Rounds.All(r => r.KilobytesPerRequest is null) ? "" : Number(row.Median(r => r.KilobytesPerRequest ?? 0), 1);

    private static string Resident(Measurement row) => Number(row.Median(r => r.ResidentBytes / 1048576.0), 0);

    private static string Ratio(double value, Measurement? yarp, Func<Measurement, double> of) =>
        yarp is null ? "" : Number(value / of(yarp), 2);

    private static string Number(double value, int digits) => value.ToString($"N{digits}", CultureInfo.InvariantCulture);
}
