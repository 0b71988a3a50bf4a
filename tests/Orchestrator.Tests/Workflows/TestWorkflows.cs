using MultiAgent.Contracts.Clients;
using System.Collections.Concurrent;
using MultiAgent.Orchestrator.Workflows;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Tests.Workflows;

/// <summary>Workflows that a test writes down, of any tenant.</summary>
internal sealed class TestWorkflows : IWorkflowSource
{
    private readonly ConcurrentDictionary<string, WorkflowDefinition> _bySlug = new();
    private string? _broken;

    /// <summary>Adds a workflow by its steps, indented by two.</summary>
    public TestWorkflows Add(string name, string steps, string more = "")
    {
        WorkflowReading reading = WorkflowReader.Read($"apiVersion: maap/v1\nkind: Workflow\nname: {name}\n{more}\nsteps:\n{steps}");
        Assert.True(reading.Problems.Count == 0, string.Join("\n", reading.Problems));
        _bySlug[name] = reading.Definition!;
        return this;
    }

    /// <summary>Looking for this workflow fails as a program does that has a fault.</summary>
    public TestWorkflows Break(string name)
    {
        _broken = name;
        return this;
    }

    public ValueTask<WorkflowVersion?> FindAsync(string tenantId, string slug, string? selector, CancellationToken cancellationToken) =>
        slug == _broken ? throw new InvalidOperationException("A fault for a test.") : new(_bySlug.TryGetValue(slug, out WorkflowDefinition? found) ? new WorkflowVersion($"wfl_{slug}", tenantId, slug, 1, found) : null);

    public ValueTask<WorkflowVersion?> FindVersionAsync(string tenantId, string workflowId, int version, CancellationToken cancellationToken) => FindAsync(tenantId, workflowId["wfl_".Length..], null, cancellationToken);

    public ValueTask<IReadOnlyList<AgentSummary>> ListAsync(string tenantId, CancellationToken cancellationToken) => new([]);
}
