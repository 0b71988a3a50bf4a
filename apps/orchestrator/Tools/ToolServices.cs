using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Orchestrator.Tools.Calculator;
using MultiAgent.Orchestrator.Tools.Results;
using MultiAgent.Orchestrator.Tools.Sources;
using MultiAgent.Orchestrator.Tools.Sources.Mcp;
using MultiAgent.Orchestrator.Tools.Sources.OpenApi;
using MultiAgent.Orchestrator.Tools.SubRuns;

namespace MultiAgent.Orchestrator.Tools;

internal static class ToolServices
{
    /// <summary>Built-in tools, those of tenants' sources, and what is kept of their results.</summary>
    public static IServiceCollection AddTools(this IServiceCollection services)
    {
        services.AddOptions<HttpToolOptions>().BindConfiguration("Tools:Http").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<HttpToolOptions>, HttpToolValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, CurrentTimeTool>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, CalculatorTool>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, HttpRequestTool>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ITool, ReadToolResultTool>());
        services.TryAddSingleton<ToolRegistry>();
        services.TryAddSingleton<ToolBinder>();
        services.AddOptions<ToolResultOptions>().BindConfiguration("Tools:Results").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<ToolResultOptions>, ToolResultValidator>());
        services.TryAddSingleton<ToolResults>();
        services.AddHostedService<ToolResultCleanup>();
        return services.AddToolSources().AddSubRuns();
    }

    private static IServiceCollection AddToolSources(this IServiceCollection services)
    {
        services.AddOptions<McpOptions>().BindConfiguration("Tools:Mcp").ValidateOnStart();
        services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<McpOptions>, McpOptionsValidator>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ISourceCalls, OpenApiCalls>());
        services.TryAddEnumerable(ServiceDescriptor.Singleton<ISourceCalls, McpCalls>());
        services.TryAddSingleton<SourceHttp>();
        services.TryAddSingleton<SourcePipelines>();
        services.TryAddSingleton<McpConnections>();
        services.TryAddSingleton<McpImport>();
        services.TryAddSingleton<OperatorSources>();
        services.TryAddSingleton<ToolSourceReader>();
        services.TryAddSingleton<ToolSourceValidator>();
        services.TryAddSingleton<ToolSourceCommands>();
        services.TryAddSingleton<ToolSourceQueries>();
        services.TryAddSingleton<TenantTools>();
        services.AddHostedService<McpRefresher>();
        return services;
    }

    private static IServiceCollection AddSubRuns(this IServiceCollection services)
    {
        // Runs call tools, and these tools start runs: the circle is closed when they are first called.
        services.TryAddSingleton(static s => new Lazy<AgentCatalogue>(s.GetRequiredService<AgentCatalogue>));
        services.TryAddSingleton(static s => new Lazy<RunEngine>(s.GetRequiredService<RunEngine>));
        services.TryAddSingleton<ChildRuns>();
        services.TryAddSingleton<SubRunCalls>();
        services.TryAddSingleton<SubRunTools>();
        return services;
    }
}
