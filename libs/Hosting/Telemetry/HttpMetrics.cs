using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;

namespace MultiAgent.Hosting.Telemetry;

/// <summary>Metrics of HTTP requests: <c>http_requests_total</c> and <c>http_request_duration_seconds</c>. Labels are bounded: routes are templates.</summary>
public sealed class HttpMetrics
{
    private static readonly ConcurrentDictionary<int, string> Statuses = new();

    private readonly SeriesCounter<Request> _requests = new SeriesCounter<Request>("http_requests", "HTTP requests answered.", static r =>
        [new("method", r.Method), new("route", r.Route), new("service", r.Service), new("status", StatusText(r.Status))]);
    private readonly Histogram<double> _duration = PlatformTelemetry.Meter.CreateHistogram("http_request_duration", "s", "Time from a request's arrival to the end of its answer.", null, PlatformTelemetry.LatencySeconds);
    private readonly Counter<long> _refused = PlatformTelemetry.Meter.CreateCounter<long>("http_requests_refused", null, "Requests refused before they were served.");

    internal void Completed(string service, string? route, string method, int status, TimeSpan duration)
    {
        route ??= "unmatched";
        method = KnownMethod(method);
        var tags = new TagList
        {
            { "method", method },
            { "route", route },
            { "service", service },
            { "status", StatusText(status) },
        };
        _requests.Add(new Request(service, route, method, status));
        _duration.Record(duration.TotalSeconds, tags);
    }

    internal void Refused(string reason) => _refused.Add(1, new KeyValuePair<string, object?>("reason", reason));

    private static string StatusText(int status) => Statuses.GetOrAdd(status, static s => s.ToString(CultureInfo.InvariantCulture));

    // The method is the client's text: anything unknown is one label.
    private static string KnownMethod(string method) => method switch
    {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    };

    private readonly record struct Request(string Service, string Route, string Method, int Status);
}
