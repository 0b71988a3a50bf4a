using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiAgent.Hosting;

namespace MultiAgent.Tenants.Tenants;

internal static class TenantFeature
{
    public static void AddTenants(this IServiceCollection services)
    {
        services.TryAddSingleton<TenantCreation>();
        services.TryAddSingleton<OperatorAccess>();
        services.AddSingleton<IStartupTask>(s => s.GetRequiredService<OperatorAccess>());
    }
}
