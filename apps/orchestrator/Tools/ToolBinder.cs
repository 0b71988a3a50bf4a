using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Tools.Sources;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>Gives agents the tools that they list as those are now: sources change without a new version of the agent. A run keeps what it began with.</summary>
internal sealed class ToolBinder(TenantTools tools)
{
    public async ValueTask<CompiledAgent> BindAsync(CompiledAgent agent, CancellationToken cancellationToken)
    {
        IReadOnlyList<AgentTool> listed = agent.Spec.Tools ?? [];
        var found = new ITool?[listed.Count];
        for (int i = 0; i < found.Length; i++) found[i] = await tools.FindAsync(agent.TenantId, listed[i].Name!, cancellationToken);
        return agent.Bind(found);
    }
}
