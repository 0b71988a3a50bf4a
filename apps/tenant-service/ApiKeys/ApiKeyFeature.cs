using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace MultiAgent.Tenants.ApiKeys;

internal static class ApiKeyFeature
{
    public static void AddApiKeys(this IServiceCollection services)
    {
        services.TryAddSingleton<ApiKeyCache>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IHostedService, ApiKeyLastUsed>());
    }
}
