using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Tests.Catalogue;

/// <summary>Loads a catalogue from settings, as a host does.</summary>
internal static class CatalogueHost
{
    public static ModelCatalogue Load(params (string Key, string? Value)[] settings)
    {
        using ServiceProvider services = Services(Configuration(settings));
        return services.GetRequiredService<ModelCatalogueSource>().Current;
    }

    public static string[] Problems(params (string Key, string? Value)[] settings) =>
        [.. Assert.Throws<OptionsValidationException>(() => Load(settings)).Failures];

    public static IConfigurationRoot Configuration(params (string Key, string? Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(s => KeyValuePair.Create(s.Key, s.Value))).Build();

    public static ServiceProvider Services(IConfiguration configuration) => new ServiceCollection().AddModelCatalogue(configuration).BuildServiceProvider();
}
