using System.Collections.Concurrent;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tools.SubRuns;

/// <summary>A tenant's agents and workflows as tools: <c>agent/slug</c> and <c>workflow/slug</c>, with a label or version after an at sign if need be.</summary>
internal sealed class SubRunTools(Lazy<AgentCatalogue> agents, IWorkflowSource workflows, SubRunCalls calls)
{
    private const string AgentPrefix = "agent/";
    private const string WorkflowPrefix = "workflow/";
    private const int MaxKept = 10_000;

    // A version never changes, and neither does its tool: what compiled the schema of its arguments goes on being used.
    private readonly ConcurrentDictionary<(string Id, int Version, string Name), ISubRunTool> _tools = new();

    public static bool IsName(string name) => name.StartsWith(AgentPrefix, StringComparison.Ordinal) || name.StartsWith(WorkflowPrefix, StringComparison.Ordinal);

    /// <param name="tenantId">The caller's tenant.</param>
    /// <param name="name">Untrusted.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask<ITool?> FindAsync(string tenantId, string name, CancellationToken cancellationToken) => await FindRunAsync(tenantId, name, cancellationToken);

    /// <inheritdoc cref="FindAsync"/>
    public async ValueTask<ISubRunTool?> FindRunAsync(string tenantId, string name, CancellationToken cancellationToken)
    {
        if (name.StartsWith(AgentPrefix, StringComparison.Ordinal))
        {
            string reference = name[AgentPrefix.Length..];
            return await agents.Value.FindUnboundAsync(tenantId, reference, cancellationToken) is { } agent ? Keep((agent.Id, agent.Version, name), () => new AgentSubRun(name, reference, agent, calls)) : null;
        }
        string[] parts = name[WorkflowPrefix.Length..].Split('@', 2);
        string? selector = parts.Length > 1 ? parts[1] : null;
        return await workflows.FindAsync(tenantId, parts[0], selector, cancellationToken) is { } workflow ? Keep((workflow.Id, workflow.Version, name), () => new WorkflowSubRun(name, parts[0], selector, workflow, calls)) : null;
    }

    private ISubRunTool Keep((string, int, string) key, Func<ISubRunTool> make)
    {
        if (_tools.Count >= MaxKept) _tools.Clear();
        return _tools.GetOrAdd(key, _ => make());
    }
}
