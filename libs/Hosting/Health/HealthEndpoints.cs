using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Data;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Hosting.Health;

/// <summary>Body of the health endpoints.</summary>
public sealed record HealthReport(string Status, string Service, string Version, double UptimeSeconds, IReadOnlyList<DependencyHealth> Dependencies);

/// <summary>One dependency in a health report.</summary>
public sealed record DependencyHealth(string Name, string Service, string Status, double LatencyMs, string? Detail);

internal static class HealthEndpoints
{
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromSeconds(2);
    private static readonly long Started = Stopwatch.GetTimestamp();

    public static void MapHealth(this IEndpointRouteBuilder routes, IReadOnlyList<IServiceModule> modules, string hostName)
    {
        RouteGroupBuilder group = routes.MapGroup("").AllowAnonymousCaller().WithMetadata(new ServiceName(hostName)).WithTags("Health");
        group.MapGet("/health", (IServiceProvider services, CancellationToken ct) => ReportAsync(services, hostName, null, ct))
            .WithSummary("State of every dependency with its latency");
        group.MapGet("/health/live", Live).WithSummary("The process answers");
        group.MapGet("/health/ready", (IServiceProvider services, CancellationToken ct) => ReportAsync(services, hostName, null, ct))
            .WithSummary("This instance can take requests; 503 while it starts, drains or misses a dependency");
        foreach (IServiceModule module in modules)
        {
            group.MapGet($"/api/v1/{module.Name}/health", (IServiceProvider services, CancellationToken ct) => ReportAsync(services, module.Name, module.Name, ct))
                .WithSummary($"State of {module.Name}").WithMetadata(new ServiceName(module.Name));
        }
    }

    private static Ok<HealthLive> Live() => TypedResults.Ok(new HealthLive("ok"));

    private static async Task<JsonHttpResult<HealthReport>> ReportAsync(IServiceProvider services, string name, string? onlyService, CancellationToken cancellationToken)
    {
        IEnumerable<IHealthProbe> probes = services.GetServices<IHealthProbe>()
            .Concat(services.GetServices<IHealthProbeSource>().SelectMany(s => s.Probes))
            .Concat(services.GetServices<RegisteredDatabase>().Select(d => new DatabaseProbe(d)))
            .Where(p => onlyService is null || p.Service == onlyService);
        DependencyHealth[] dependencies = await Task.WhenAll(probes.Select(p => CheckAsync(p, cancellationToken)));
        bool draining = services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested;
        string status = draining ? "draining"
            : dependencies.Any(d => d.Status == "down") ? "down"
            : dependencies.Any(d => d.Status == "degraded") ? "degraded" : "ok";
        string version = typeof(HealthEndpoints).Assembly.GetName().Version?.ToString(3) ?? "0";
        var report = new HealthReport(status, name, version, Math.Round(Stopwatch.GetElapsedTime(Started).TotalSeconds, 1), dependencies);
        return TypedResults.Json(report, statusCode: status is "ok" or "degraded" ? 200 : 503);
    }

    private static async Task<DependencyHealth> CheckAsync(IHealthProbe probe, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        ProbeResult result;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(ProbeTimeout);
        try
        {
            // A probe that blocks its thread must not block the report.
            result = await Task.Run(async () => await probe.CheckAsync(limit.Token), limit.Token).WaitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            result = ProbeResult.Down($"no answer within {ProbeTimeout.TotalSeconds:0} s");
        }
        catch (Exception e)
        {
            result = ProbeResult.Down(e.GetType().Name);
        }
        string status = result.Status switch { ProbeStatus.Ok => "ok", ProbeStatus.Degraded => "degraded", ProbeStatus.Down => "down", _ => "down" };
        return new DependencyHealth(probe.Name, probe.Service, status, Math.Round((result.Latency ?? Stopwatch.GetElapsedTime(started)).TotalMilliseconds, 3), result.Detail);
    }
}

internal sealed record HealthLive(string Status);
