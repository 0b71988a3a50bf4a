using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace MultiAgent.Hosting.Telemetry;

internal static class TelemetryServices
{
    /// <summary>
    /// Metrics are always collected for <c>/metrics</c>. Traces, logs and metrics are exported over OTLP when an endpoint is
    /// configured by the standard variables; without one no span is made.
    /// </summary>
    public static void AddPlatformTelemetry(this IHostApplicationBuilder builder, string serviceName)
    {
        builder.Services.AddOptions<TelemetryOptions>().BindConfiguration("Telemetry")
            // The binder reads a list from numbered keys alone; one text with commas is what a variable can hold.
            .Configure<IConfiguration>((o, configuration) =>
            {
                if (configuration["Telemetry:Tenants"] is { Length: > 0 } text) o.Tenants = [.. text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)];
            })
            .Validate(o => o.MaxLabelValues is >= 0 and <= 10_000, "Telemetry:MaxLabelValues must be between 0 and 10000.")
            .Validate(o => o.MaxTenants is >= 0 and <= 1000, "Telemetry:MaxTenants must be between 0 and 1000.")
            .ValidateOnStart();
        builder.Services.TryAddSingleton<HttpMetrics>();
        builder.Services.TryAddSingleton<ActiveUsers>();
        builder.Services.TryAddSingleton<ChatMetrics>();
        bool otlp = builder.Configuration.AsEnumerable().Any(e =>
            e.Key.StartsWith("OTEL_EXPORTER_OTLP_", StringComparison.OrdinalIgnoreCase) && e.Key.EndsWith("ENDPOINT", StringComparison.OrdinalIgnoreCase) && !string.IsNullOrEmpty(e.Value));

        OpenTelemetryBuilder telemetry = builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(serviceName, "maap", typeof(TelemetryServices).Assembly.GetName().Version?.ToString(3)))
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(PlatformTelemetry.Name, $"{PlatformTelemetry.Name}.*", "System.Runtime").AddPrometheusExporter(options => options.ScrapeResponseCacheDurationMilliseconds = 500);
                metrics.SetMaxMetricStreams(2000);
                if (otlp) metrics.AddOtlpExporter();
            });
        if (!otlp) return;
        telemetry.WithTracing(tracing => tracing
            .AddSource(PlatformTelemetry.Name, $"{PlatformTelemetry.Name}.*")
            .AddAspNetCoreInstrumentation(options => options.Filter = context => !context.Request.Path.StartsWithSegments("/health") && !context.Request.Path.StartsWithSegments("/metrics"))
            .AddHttpClientInstrumentation()
            // Statements on PostgreSQL, without their values.
            .AddSource("Npgsql")
            .AddOtlpExporter());
        builder.Logging.AddOpenTelemetry(logging =>
        {
            logging.IncludeScopes = true;
            logging.AddOtlpExporter();
        });
    }
}
