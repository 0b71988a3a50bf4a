using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Dispatch;
using MultiAgent.Models.Providers;
using MultiAgent.Models.Providers.Anthropic;
using MultiAgent.Models.Providers.Local;
using MultiAgent.Models.Providers.OpenAi;
using MultiAgent.Models.Tokens;
using MultiAgent.Models.Upstream;

namespace MultiAgent.Models;

/// <summary>Registration of everything that it takes to call a model.</summary>
public static class ModelServices
{
    /// <summary>Name of the meter of model calls.</summary>
    public const string MeterName = ModelMetrics.MeterName;

    /// <summary>
    /// Adds <see cref="IModelDispatcher"/> and the catalogue. Needs an <see cref="Contracts.Events.IUsageSink"/>. Calling it
    /// twice is harmless.
    /// </summary>
    public static IServiceCollection AddModels(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddModelCatalogue(configuration);
        services.AddOptions<ResilienceOptions>().BindConfiguration("Models:Resilience").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ResilienceOptions>, ResilienceValidator>());
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<IUpstreamTransport, HttpTransport>();
        services.TryAddSingleton<DeploymentHealthRegistry>();
        services.TryAddSingleton<ModelMetrics>();
        services.TryAddSingleton(s => new ProviderStates(s.GetRequiredService<ModelCatalogueSource>(), s.GetRequiredService<DeploymentHealthRegistry>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IModelProvider, OpenAiProvider>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IModelProvider, AzureOpenAiProvider>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IModelProvider, AnthropicProvider>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IModelProvider, LocalProvider>());
        services.TryAddSingleton<IModelDispatcher, ModelDispatcher>();
        return services;
    }
}
