using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Clients;
using MultiAgent.Data;
using MultiAgent.Hosting;
using MultiAgent.Messaging;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Auth;
using MultiAgent.Tenants.Bootstrap;
using MultiAgent.Tenants.Tenants;
using MultiAgent.Tenants.Users;

namespace MultiAgent.Tenants;

/// <summary>Tenants, users, roles, API keys and log-in.</summary>
public sealed class TenantModule : IServiceModule
{
    internal const string Service = "tenant-service";

    public string Name => Service;

    public void AddServices(IHostApplicationBuilder builder)
    {
        IServiceCollection services = builder.Services;
        builder.AddMessaging();
        services.AddServiceDatabase<TenantDb>(Service, (options, scope) => new TenantDb(options, scope));
        services.AddOutbox(Service);
        services.AddApiKeys();
        // Before the demo tenant: what is wrong with the configuration must show before secrets are made.
        services.AddAuth();
        services.AddTenants();
        services.AddBootstrap();
        services.TryAddSingleton<ITenantDirectory, TenantDirectory>();
    }

    public void MapEndpoints(IEndpointRouteBuilder routes)
    {
        routes.MapAuth();
        routes.MapMe();
        routes.MapUsers();
        routes.MapApiKeys();
        routes.MapOwnTenant();
        routes.MapTenants();
    }
}
