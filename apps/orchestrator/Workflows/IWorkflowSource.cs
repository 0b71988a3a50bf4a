using MultiAgent.Contracts.Clients;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows;

/// <summary>One version of a tenant's workflow, ready to run. Immutable and shared.</summary>
internal sealed record WorkflowVersion(string Id, string TenantId, string Slug, int Version, WorkflowDefinition Definition);

/// <summary>Finds workflows to run.</summary>
internal interface IWorkflowSource
{
    /// <summary>A workflow by its slug and, after the at sign of a reference, a label or number; without it the version with the label <c>production</c>.</summary>
    ValueTask<WorkflowVersion?> FindAsync(string tenantId, string slug, string? selector, CancellationToken cancellationToken);

    /// <summary>The tenant's workflows by slug, at most 1000.</summary>
    ValueTask<IReadOnlyList<AgentSummary>> ListAsync(string tenantId, CancellationToken cancellationToken);

    /// <summary>The version that a run began with, whatever became of the workflow since.</summary>
    ValueTask<WorkflowVersion?> FindVersionAsync(string tenantId, string workflowId, int version, CancellationToken cancellationToken);
}
