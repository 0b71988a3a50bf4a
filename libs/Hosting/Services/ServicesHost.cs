using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Clients;
using MultiAgent.Data;
using MultiAgent.Hosting.Edge;
using MultiAgent.Hosting.Health;
using MultiAgent.Hosting.Identity;
using MultiAgent.Hosting.Limits;
using MultiAgent.Hosting.Services.Calls;
using MultiAgent.Hosting.Services.Clients;
using MultiAgent.Hosting.Services.Tls;
using MultiAgent.Hosting.Services.Tokens;

namespace MultiAgent.Hosting.Services;

/// <summary>What a process gets so that its modules find the other services, in this process or in others.</summary>
internal static class ServicesHost
{
    private const int DrainDelayApart = 5;

    /// <summary>Before the modules register their services.</summary>
    public static ServiceTopology AddTopology(this WebApplicationBuilder builder, string process, IReadOnlyList<IServiceModule> modules)
    {
        ServiceTopology topology = ServiceTopology.Of(process, modules, builder.Configuration);
        IServiceCollection services = builder.Services;
        services.AddSingleton(topology);
        services.AddOptions<ServicesOptions>().BindConfiguration("Services").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IConfigureOptions<ServicesOptions>, ServicesDefaults>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ServicesOptions>, ServicesValidator>());
        services.AddSingleton(s => new ServiceTokens(topology, s.GetRequiredService<IOptions<ServicesOptions>>(), s.GetRequiredService<TimeProvider>()));
        services.AddSingleton(s => new ServiceTls(s.GetRequiredService<IOptions<ServicesOptions>>()));
        if (!topology.IsApart) return topology;

        // Somebody balances the load, and has to see that this instance goes before it is gone.
        if (builder.Configuration["Limits:DrainDelaySeconds"] is null) services.Configure<LimitsOptions>(o => o.DrainDelaySeconds = DrainDelayApart);
        // Services that are started from one folder must not meet in one data folder.
        if (string.IsNullOrEmpty(builder.Configuration["Data:Directory"]))
            services.AddOptions<DataOptions>().Configure(o => o.Directory = Path.Combine(o.Directory, process));
        if (topology.IsCalledInside)
        {
            builder.WebHost.ConfigureKestrel((_, kestrel) =>
            {
                ServiceTls tls = kestrel.ApplicationServices.GetRequiredService<ServiceTls>();
                if (tls.IsOn) kestrel.ConfigureHttpsDefaults(tls.Configure);
            });
        }
        return topology;
    }

    /// <summary>After the modules have registered theirs: what is not in this process is called over HTTP.</summary>
    public static void AddServiceClients(this WebApplicationBuilder builder, ServiceTopology topology)
    {
        if (!topology.IsApart) return;
        IServiceCollection services = builder.Services;
        services.TryAddSingleton<ICallerChangeFeed, LocalCallerChangeFeed>();
        services.AddSingleton<ServiceClients>();
        services.AddSingleton<IHealthProbeSource>(s => s.GetRequiredService<ServiceClients>());
        services.AddHostedService<ServiceWatch>();
        services.TryAddSingleton<ITenantDirectory, TenantDirectoryClient>();
        services.TryAddSingleton<IAgentCompletions, AgentCompletionsClient>();
        services.AddSingleton<IStartedMessage, ServiceStarted>();
    }

    /// <summary>Endpoints for the other services, where this process has what they call.</summary>
    public static void MapInternalEndpoints(this WebApplication app, ServiceTopology topology)
    {
        if (!topology.IsCalledInside) return;
        RouteGroupBuilder group = app.MapGroup("/internal/v1").WithMetadata(new InternalEndpoint(), new ServiceName(topology.Process)).ExcludeFromDescription();
        // The caller says how long it waits.
        group.DisableRequestTimeout();
        if (topology.Local.Contains(ServiceTopology.Tenants)) group.MapTenantDirectory();
        if (topology.Local.Contains(ServiceTopology.Orchestrator)) group.MapAgentCompletions();
    }

    private sealed class ServiceStarted(ServiceTopology topology, IOptions<DataOptions> data) : IStartedMessage
    {
        public void Write(string url, TextWriter output)
        {
            output.WriteLine($"{topology.Process} is running on {url} (data in {Path.GetFullPath(data.Value.Directory)}). Ctrl-C stops it.");
            output.Flush();
        }
    }
}

/// <summary>Endpoint metadata: for the platform's own services, which show a service token.</summary>
public sealed record InternalEndpoint;
