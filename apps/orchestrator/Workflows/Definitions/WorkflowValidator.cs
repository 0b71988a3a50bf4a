using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Tools.Sources;
using MultiAgent.Orchestrator.Tools.SubRuns;
using MultiAgent.Workflows;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>Reads a workflow and checks it against what the tenant has: agents, workflows and tools.</summary>
internal sealed class WorkflowValidator(AgentCatalogue agents, WorkflowCatalogue workflows, ToolRegistry registry, TenantTools tools)
{
    /// <summary>The definition, or everything that is wrong.</summary>
    /// <param name="tenantId">Whose agents and workflows count.</param>
    /// <param name="source">Untrusted.</param>
    public async Task<WorkflowReading> CheckAsync(string tenantId, string source, CancellationToken cancellationToken)
    {
        WorkflowReading reading = WorkflowReader.Read(source);
        if (reading.Definition is not { } definition) return reading;
        var problems = new List<WorkflowProblem>();
        var known = new Dictionary<(ReferenceKind, string), bool>();
        foreach (WorkflowReference reference in definition.References)
        {
            if (!known.TryGetValue((reference.Kind, reference.Name), out bool exists))
                known[(reference.Kind, reference.Name)] = exists = await ExistsAsync(tenantId, definition, reference, cancellationToken);
            if (!exists) problems.Add(Unknown(reference));
        }
        foreach (ToolStep step in definition.ById.Values.OfType<ToolStep>())
        {
            IReadOnlyList<string>? hosts = step.Settings?.AllowedHosts;
            if (step.Tool == HttpRequestTool.ToolName && (hosts is not { Count: > 0 } || hosts.Any(h => !HostPattern.IsValid(h))))
                problems.Add(new WorkflowProblem(step.Head.Line, step.Head.Column, step.Id, ProblemCodes.InvalidValue, $"The tool '{HttpRequestTool.ToolName}' needs 'settings.allowedHosts': host names such as 'api.example.com' or '*.example.com', without scheme, port or path."));
        }
        return problems.Count == 0 ? reading : new WorkflowReading(null, [.. problems.OrderBy(p => p.Line).ThenBy(p => p.Column)]);
    }

    private async ValueTask<bool> ExistsAsync(string tenantId, WorkflowDefinition definition, WorkflowReference reference, CancellationToken cancellationToken)
    {
        switch (reference.Kind)
        {
            case ReferenceKind.Agent:
                return await agents.FindAsync(tenantId, reference.Name, cancellationToken) is not null;
            case ReferenceKind.Tool:
                return !SubRunTools.IsName(reference.Name) && await tools.FindAsync(tenantId, reference.Name, cancellationToken) is not null;
            default:
                int at = reference.Name.IndexOf('@');
                string slug = at < 0 ? reference.Name : reference.Name[..at];
                // A workflow may call itself; there is no version to find when it is made.
                return slug == definition.Name || await workflows.FindAsync(tenantId, slug, at < 0 ? null : reference.Name[(at + 1)..], cancellationToken) is not null;
        }
    }

    private WorkflowProblem Unknown(WorkflowReference reference) => reference.Kind switch
    {
        ReferenceKind.Agent => Of(reference, ProblemCodes.UnknownAgent, $"There is no agent '{reference.Name}'."),
        ReferenceKind.Tool => Of(reference, ProblemCodes.UnknownTool, $"There is no tool '{reference.Name}', only: {string.Join(", ", registry.Names)}, and those of the tenant's sources."),
        _ => Of(reference, ProblemCodes.UnknownWorkflow, $"There is no workflow '{reference.Name}'."),
    };

    private static WorkflowProblem Of(WorkflowReference reference, string code, string message) => new(reference.Line, reference.Column, reference.Path, code, message);
}
