using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Messaging;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Registers webhooks.</summary>
internal static class WebhookFeature
{
    public static void AddWebhooks(this IServiceCollection services)
    {
        services.AddOptions<WebhookOptions>().BindConfiguration("Webhooks").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<WebhookOptions>, WebhookOptionsValidator>());
        services.AddStore<IWebhookStore, SqliteWebhookStore, PostgresWebhookStore>();
        services.TryAddSingleton<WebhookBell>();
        services.TryAddSingleton<WebhookSecrets>();
        services.TryAddSingleton<WebhookChecks>();
        services.TryAddSingleton<WebhookSender>();
        services.TryAddSingleton<RunWebhooks>();
        services.AddEventConsumer<WebhookConsumer>();
        services.AddEventConsumer<AlertWebhookConsumer>();
        services.AddHostedService<WebhookDispatcher>();
    }
}
