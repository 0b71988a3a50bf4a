using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using MultiAgent.Data;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Workflows.Forks;

namespace MultiAgent.Orchestrator.Blackboards;

/// <summary>Puts blackboards together.</summary>
internal static class BlackboardFeature
{
    public static void AddBlackboards(this IServiceCollection services)
    {
        services.AddStore<IBlackboardStore, SqliteBlackboardStore, PostgresBlackboardStore>();
        services.TryAddSingleton<RunBlackboards>();
        services.TryAddSingleton<BlackboardFork>();
        services.AddHostedService<BlackboardRetention>();
        // Workflows name tools, and these tools look at workflows.
        services.TryAddSingleton(static s => new Lazy<RunBlackboards>(s.GetRequiredService<RunBlackboards>));
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, BlackboardReadTool>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, BlackboardWriteTool>());
    }
}
