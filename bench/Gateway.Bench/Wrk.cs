using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace MultiAgent.Bench.Gateway;

/// <summary>The closed loop: wrk keeps a number of connections busy, each sending its next request when the last is answered.</summary>
internal static class Wrk
{
    private const string Marker = "BENCH ";

    public static async Task<LoadResult> RunAsync(
        ChatRequest request, int connections, int seconds, string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        var script = Path.Combine(folder, "request.lua");
        await File.WriteAllTextAsync(script, Script(request), cancellationToken);

        var start = new ProcessStartInfo("wrk") { RedirectStandardOutput = true, RedirectStandardError = true };
        string[] arguments =
        [
            "--threads", "1", "--connections", Text(connections), "--duration", $"{Text(seconds)}s", "--timeout", "30s",
            "--script", script, request.Url.ToString(),
        ];
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);

        using var process = Process.Start(start) ?? throw new BenchException("wrk did not start.");
        try
        {
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return Parse(output) ?? throw new BenchException($"wrk failed: {output}{await errors}");
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    private static string Script(ChatRequest request)
    {
        var script = new StringBuilder("wrk.method = \"POST\"\n");
        script.Append(CultureInfo.InvariantCulture, $"wrk.body = [==[{Encoding.UTF8.GetString(request.Body)}]==]\n");
        script.Append("wrk.headers[\"Content-Type\"] = \"application/json\"\n");
        foreach (var (name, value) in request.Headers)
            script.Append(CultureInfo.InvariantCulture, $"wrk.headers[\"{name}\"] = \"{value}\"\n");
        script.Append(
            """
            done = function(summary, latency, requests)
              local e = summary.errors
              io.write(string.format(
                'BENCH {"requests":%d,"microseconds":%d,"failures":%d,"p50":%d,"p90":%d,"p99":%d,"p999":%d}\n',
                summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
                latency:percentile(50), latency:percentile(90), latency:percentile(99), latency:percentile(99.9)))
            end
            """);
        return script.ToString();
    }

    private static LoadResult? Parse(string output)
    {
        var line = output.Split('\n').FirstOrDefault(l => l.StartsWith(Marker, StringComparison.Ordinal));
        if (line is null)
            return null;
        using var json = JsonDocument.Parse(line[Marker.Length..]);
        long Value(string name) => json.RootElement.GetProperty(name).GetInt64();
        return new LoadResult
        {
            Requests = Value("requests"),
            Failures = Value("failures"),
            Seconds = Value("microseconds") / 1e6,
            Latency = new Percentiles(Value("p50") / 1e3, Value("p90") / 1e3, Value("p99") / 1e3, Value("p999") / 1e3),
        };
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
