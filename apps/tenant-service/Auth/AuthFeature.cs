using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting;
using MultiAgent.Hosting.Health;
using MultiAgent.Tenants.Callers;

namespace MultiAgent.Tenants.Auth;

internal static class AuthFeature
{
    public static void AddAuth(this IServiceCollection services)
    {
        services.AddOptions<AuthOptions>().BindConfiguration("Auth").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<AuthOptions>, AuthOptionsValidator>());
        services.TryAddSingleton<SigningKeys>();
        services.AddSingleton<IStartupTask>(s => s.GetRequiredService<SigningKeys>());
        services.AddSingleton<IHealthProbe, SigningKeyProbe>();
        services.TryAddSingleton<AccessTokens>();
        services.TryAddSingleton<AccessTokenCache>();
        services.TryAddSingleton<CallerCache>();
        services.TryAddSingleton<CallerChanges>();
        services.TryAddSingleton<Sessions>();
        services.TryAddSingleton<LoginGuard>();
        services.TryAddSingleton<LoginAddressLimit>();
        services.TryAddSingleton<PasswordLogin>();
    }
}
