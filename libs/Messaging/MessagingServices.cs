using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using MultiAgent.Data;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Health;
using MultiAgent.Hosting.Identity;
using MultiAgent.Messaging.Embedded;
using MultiAgent.Messaging.JetStream;
using MultiAgent.Messaging.Outboxes;
using MultiAgent.Messaging.Spool;

namespace MultiAgent.Messaging;

/// <summary>Registration of the event bus.</summary>
public static class MessagingServices
{
    /// <summary>
    /// Adds <see cref="IEventBus"/>, <see cref="IEventSpool"/> and what runs the consumers: on NATS JetStream where an address is configured, in
    /// the embedded log otherwise. Calling it twice is harmless.
    /// </summary>
    public static IHostApplicationBuilder AddMessaging(this IHostApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        if (services.Any(s => s.ServiceType == typeof(EventSpool))) return builder;
        if (builder.AddEventBus())
        {
            services.AddHostedService<JetStreamConsumerHost>();
            services.AddSingleton<IHealthProbe, JetStreamProbe>();
            // Another one, such as that of Redis, goes before it.
            if (!services.Any(s => s.ServiceType == typeof(ICallerChangeFeed)))
            {
                services.AddSingleton<NatsCallerChangeFeed>();
                services.AddSingleton<ICallerChangeFeed>(s => s.GetRequiredService<NatsCallerChangeFeed>());
                services.AddHostedService(s => s.GetRequiredService<NatsCallerChangeFeed>());
            }
        }
        else
        {
            services.AddHostedService<ConsumerHost>();
            services.AddSingleton<IHealthProbe, MessagingProbe>();
        }
        services.TryAddSingleton<ICallerChangeFeed, LocalCallerChangeFeed>();
        services.AddSingleton<EventSpool>();
        services.TryAddSingleton<IEventSpool>(s => s.GetRequiredService<EventSpool>());
        services.AddHostedService(s => s.GetRequiredService<EventSpool>());
        services.AddSingleton<IStartupTask>(s => s.GetRequiredService<EventSpool>());
        services.TryAddSingleton<IUsageSink, UsageSpool>();
        services.AddSingleton<TenantMetrics>();
        services.AddSingleton<JourneyMetrics>();
        services.AddSingleton<JourneyRecorder>();
        services.AddSingleton<RequestRecorder>();
        return builder;
    }

    /// <summary>Adds <see cref="IEventBus"/> and <see cref="IEventOperations"/> alone, for an operator's tool. True: they are those of NATS.</summary>
    public static bool AddEventBus(this IHostApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        services.AddOptions<MessagingOptions>().BindConfiguration("Messaging")
            .Validate(o => o.RetentionMinutes >= 2, "Messaging:RetentionMinutes must be 2 or more.")
            .Validate(o => o.MaxDeliveries >= 1, "Messaging:MaxDeliveries must be 1 or more.")
            .Validate(o => o.RetryMilliseconds >= 1, "Messaging:RetryMilliseconds must be 1 or more.")
            .Validate(o => o.SpoolMegabytes is >= 1 and <= 1024, "Messaging:SpoolMegabytes must be between 1 and 1024.")
            .ValidateOnStart();
        services.TryAddSingleton(TimeProvider.System);
        services.AddDataOptions();
        string? url = builder.Configuration["NATS_URL"] is { Length: > 0 } given ? given : builder.Configuration["Messaging:Nats:Url"];
        if (string.IsNullOrWhiteSpace(url))
        {
            // An event of the spool fills a page.
            services.AddSqliteDatabase(EmbeddedBus.Service, pageSize: 65536);
            services.AddSingleton<EmbeddedBus>();
            services.AddSingleton<IEventBus>(s => s.GetRequiredService<EmbeddedBus>());
            services.AddSingleton<EventLog>();
            services.AddSingleton<IEventOperations, EmbeddedEventOperations>();
            return false;
        }
        services.AddOptions<JetStreamOptions>().BindConfiguration("Messaging:Nats").Configure(o => o.Url = url).ValidateOnStart();
        services.AddSingleton<IValidateOptions<JetStreamOptions>, JetStreamValidator>();
        services.AddSingleton<JetStreamConnection>();
        services.AddSingleton<IEventBus, JetStreamBus>();
        services.AddSingleton<IEventOperations, JetStreamEventOperations>();
        return true;
    }

    /// <summary>Publishes the outbox of a service's database; see <see cref="Outbox"/>.</summary>
    public static IServiceCollection AddOutbox(this IServiceCollection services, string service)
    {
        services.AddSingleton<IHostedService>(s => new OutboxRelay(
            s.GetRequiredService<Databases>().IsInPostgres(service) ? new PostgresOutbox(s.GetRequiredKeyedService<PostgresDatabase>(service)) : new SqliteOutbox(s.GetRequiredKeyedService<SqliteDatabase>(service)),
            s.GetRequiredService<IEventBus>(), s.GetRequiredService<TimeProvider>(), s.GetRequiredService<ILogger<OutboxRelay>>()));
        return services;
    }

    /// <summary>Adds a consumer.</summary>
    public static IServiceCollection AddEventConsumer<T>(this IServiceCollection services) where T : class, IEventConsumer
    {
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IEventConsumer, T>());
        return services;
    }

    private sealed class JetStreamValidator : IValidateOptions<JetStreamOptions>
    {
        public ValidateOptionsResult Validate(string? name, JetStreamOptions options) =>
            options.Problem() is { } problem ? ValidateOptionsResult.Fail(problem) : ValidateOptionsResult.Success;
    }
}
