using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiAgent.Contracts.Clients;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

internal static class WorkflowServices
{
    /// <summary>Definitions of workflows: their storage, their checks and what finds them for runs.</summary>
    public static IServiceCollection AddWorkflowDefinitions(this IServiceCollection services)
    {
        services.TryAddSingleton<WorkflowCatalogue>();
        services.TryAddSingleton<IWorkflowSource>(static s => s.GetRequiredService<WorkflowCatalogue>());
        services.TryAddSingleton<WorkflowValidator>();
        services.TryAddSingleton<WorkflowCommands>();
        services.TryAddSingleton<WorkflowQueries>();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITenantSeeder, ExampleWorkflows>());
        return services;
    }
}
