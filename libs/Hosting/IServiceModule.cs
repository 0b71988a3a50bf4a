using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;

namespace MultiAgent.Hosting;

/// <summary>
/// One service of the platform: what it registers and what it maps. A module must not assume that it is alone in the
/// process, and touches neither ports nor process-wide settings.
/// </summary>
public interface IServiceModule
{
    /// <summary>The deployable's name, e.g. <c>tenant-service</c>; also the <c>service</c> label of its metrics.</summary>
    string Name { get; }

    void AddServices(IHostApplicationBuilder builder);

    void MapEndpoints(IEndpointRouteBuilder routes);
}

/// <summary>Work to do once before the server listens, after the databases are migrated; runs in order of registration.</summary>
public interface IStartupTask
{
    /// <exception cref="Data.StartupException">The process must not start; the message says why.</exception>
    Task RunAsync(CancellationToken cancellationToken);
}
