using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MultiAgent.Models.Catalogue;

/// <summary>Registration of the catalogue.</summary>
internal static class CatalogueServiceCollectionExtensions
{
    /// <summary>Adds <see cref="ModelCatalogueSource"/>, loaded and checked when the host starts. Calling it twice is harmless.</summary>
    public static IServiceCollection AddModelCatalogue(this IServiceCollection services, IConfiguration configuration)
    {
        if (services.Any(s => s.ServiceType == typeof(ModelCatalogueSource))) return services;
        services.AddOptions();
        services.AddLogging();
        services.AddSingleton<IConfigureOptions<ModelsOptions>>(new ModelsOptionsReader(configuration));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ModelsOptions>, ModelsOptionsValidator>());
        services.AddSingleton(provider => new ModelCatalogueSource(
            provider.GetRequiredService<IOptionsFactory<ModelsOptions>>(), configuration, provider.GetRequiredService<ILogger<ModelCatalogueSource>>()));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, LoadAtStart>());
        return services;
    }

    /// <summary>Being constructed is its whole job: the source's first load stops the start if it fails.</summary>
    private sealed class LoadAtStart : IHostedService
    {
        public LoadAtStart(ModelCatalogueSource source) => _ = source.Current;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
