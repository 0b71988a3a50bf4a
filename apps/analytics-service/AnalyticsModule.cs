using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MultiAgent.Analytics.Journeys;
using MultiAgent.Analytics.Requests;
using MultiAgent.Analytics.Usage;
using MultiAgent.Data;
using MultiAgent.Hosting;
using MultiAgent.Messaging;

namespace MultiAgent.Analytics;

/// <summary>The read side of events: what was asked, what was used, and how users fared.</summary>
public sealed class AnalyticsModule : IServiceModule
{
    internal const string Service = "analytics-service";

    public string Name => Service;

    public void AddServices(IHostApplicationBuilder builder)
    {
        builder.AddMessaging();
        // Rows come by the hundred and at the end of their tables.
        builder.Services.AddServiceDatabase(Service, pageSize: 16384);
        builder.Services.AddPartitions(Service, data => [new("analytics_service.usage", data.UsageDays), new("analytics_service.journeys", data.JourneyDays), new("analytics_service.journey_steps", data.JourneyDays),
            new("analytics_service.requests", data.RequestDays)]);
        builder.Services.AddUsage();
        builder.Services.AddJourneys();
        builder.Services.AddRequestLog();
        builder.Services.AddHostedService<SqliteAnalyticsRetention>();
    }

    public void MapEndpoints(IEndpointRouteBuilder routes)
    {
        routes.MapUsage();
        routes.MapJourneys();
        routes.MapRequestLog();
    }
}
