using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
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
        services.AddSingleton<IStartupTask>(s => s.GetRequiredService<CallerCache>());
        services.AddHostedService<CallerBelief>();
        services.TryAddSingleton<CallerChanges>();
        services.AddStore<ISessionStore, SqliteSessionStore, PostgresSessionStore>();
        services.TryAddSingleton<Sessions>();
        services.AddStore<ILoginFailureStore, SqliteLoginFailureStore, PostgresLoginFailureStore>();
        services.TryAddSingleton<LoginGuard>();
        services.TryAddSingleton<LoginAddressLimit>();
        services.TryAddSingleton<PasswordLogin>();
    }
}
