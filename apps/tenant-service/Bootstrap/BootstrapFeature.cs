using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Hosting;

namespace MultiAgent.Tenants.Bootstrap;

internal static class BootstrapFeature
{
    public static void AddBootstrap(this IServiceCollection services)
    {
        services.AddSingleton<DemoTenant>();
        services.AddSingleton<IStartupTask>(s => s.GetRequiredService<DemoTenant>());
        services.AddSingleton<IStartedMessage>(s => s.GetRequiredService<DemoTenant>());
    }
}
