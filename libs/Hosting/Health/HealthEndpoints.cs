using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Hosting.Health;

/// <summary>Body of the health endpoints.</summary>
public sealed record HealthReport(string Status, string Service, string Version, double UptimeSeconds, IReadOnlyList<DependencyHealth> Dependencies);

/// <summary>One dependency in a health report.</summary>
public sealed record DependencyHealth(string Name, string Service, string Status, double LatencyMs, string? Detail);

internal static class HealthEndpoints
{
    private static readonly long Started = Stopwatch.GetTimestamp();

    public static void MapHealth(this IEndpointRouteBuilder routes, IReadOnlyList<IServiceModule> modules, string hostName)
    {
        var state = new HealthState(routes.ServiceProvider, routes.ServiceProvider.GetRequiredService<TimeProvider>());
        RouteGroupBuilder group = routes.MapGroup("").AllowAnonymousCaller().WithMetadata(new ServiceName(hostName)).WithTags("Health");
        group.MapGet("/health", (IHostApplicationLifetime lifetime, CancellationToken ct) => ReportAsync(state, lifetime, hostName, null, ct))
            .WithSummary("State of every dependency with its latency");
        group.MapGet("/health/live", Live).WithSummary("The process answers");
        group.MapGet("/health/ready", (IHostApplicationLifetime lifetime, CancellationToken ct) => ReportAsync(state, lifetime, hostName, null, ct))
            .WithSummary("This instance can take requests; 503 while it starts, drains or misses a dependency");
        foreach (IServiceModule module in modules)
        {
            group.MapGet($"/api/v1/{module.Name}/health", (IHostApplicationLifetime lifetime, CancellationToken ct) => ReportAsync(state, lifetime, module.Name, module.Name, ct))
                .WithSummary($"State of {module.Name}").WithMetadata(new ServiceName(module.Name));
        }
    }

    private static Ok<HealthLive> Live() => TypedResults.Ok(new HealthLive("ok"));

    private static async Task<JsonHttpResult<HealthReport>> ReportAsync(HealthState state, IHostApplicationLifetime lifetime, string name, string? onlyService, CancellationToken cancellationToken)
    {
        DependencyHealth[] dependencies = [.. (await state.DependenciesAsync(cancellationToken)).Where(d => onlyService is null || d.Service == onlyService)];
        // Known at once: nobody is to send another request.
        bool draining = lifetime.ApplicationStopping.IsCancellationRequested;
        string status = draining ? "draining"
            : dependencies.Any(d => d.Status == "down") ? "down"
            : dependencies.Any(d => d.Status == "degraded") ? "degraded" : "ok";
        string version = typeof(HealthEndpoints).Assembly.GetName().Version?.ToString(3) ?? "0";
        var report = new HealthReport(status, name, version, Math.Round(Stopwatch.GetElapsedTime(Started).TotalSeconds, 1), dependencies);
        return TypedResults.Json(report, statusCode: status is "ok" or "degraded" ? 200 : 503);
    }
}

internal sealed record HealthLive(string Status);
