using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Contracts.Events;
using MultiAgent.Data;
using MultiAgent.Data.Sqlite;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Health;
using MultiAgent.Messaging.Embedded;
using MultiAgent.Messaging.Spool;

namespace MultiAgent.Messaging;

/// <summary>Registration of the event bus.</summary>
public static class MessagingServices
{
    /// <summary>Adds <see cref="IEventBus"/>, <see cref="IEventSpool"/> and what runs the consumers. Calling it twice is harmless.</summary>
    public static IServiceCollection AddMessaging(this IServiceCollection services)
    {
        if (services.Any(s => s.ServiceType == typeof(IEventBus))) return services;
        services.AddOptions<MessagingOptions>().BindConfiguration("Messaging")
            .Validate(o => o.RetentionMinutes >= 2, "Messaging:RetentionMinutes must be 2 or more.")
            .Validate(o => o.MaxDeliveries >= 1, "Messaging:MaxDeliveries must be 1 or more.")
            .Validate(o => o.RetryMilliseconds >= 1, "Messaging:RetryMilliseconds must be 1 or more.")
            .Validate(o => o.SpoolMegabytes is >= 1 and <= 1024, "Messaging:SpoolMegabytes must be between 1 and 1024.")
            .ValidateOnStart();
        // An event of the spool fills a page.
        services.AddServiceDatabase(EmbeddedBus.Service, pageSize: 65536);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<EmbeddedBus>();
        services.AddSingleton<IEventBus>(s => s.GetRequiredService<EmbeddedBus>());
        services.AddSingleton<EventLog>();
        services.AddHostedService<ConsumerHost>();
        services.AddSingleton<EventSpool>();
        services.TryAddSingleton<IEventSpool>(s => s.GetRequiredService<EventSpool>());
        services.AddHostedService(s => s.GetRequiredService<EventSpool>());
        services.AddSingleton<IStartupTask>(s => s.GetRequiredService<EventSpool>());
        services.TryAddSingleton<IUsageSink, UsageSpool>();
        services.AddSingleton<TenantMetrics>();
        services.AddSingleton<JourneyMetrics>();
        services.AddSingleton<JourneyRecorder>();
        services.AddSingleton<IHealthProbe, MessagingProbe>();
        return services;
    }

    /// <summary>Publishes the outbox of a service's database; see <see cref="Outbox"/>.</summary>
    public static IServiceCollection AddOutbox(this IServiceCollection services, string service)
    {
        services.AddSingleton<IHostedService>(s => new OutboxRelay(
            s.GetRequiredKeyedService<SqliteDatabase>(service), s.GetRequiredService<IEventBus>(), s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<OutboxRelay>>()));
        return services;
    }

    /// <summary>Adds a consumer.</summary>
    public static IServiceCollection AddEventConsumer<T>(this IServiceCollection services) where T : class, IEventConsumer
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEventConsumer, T>());
        return services;
    }
}
