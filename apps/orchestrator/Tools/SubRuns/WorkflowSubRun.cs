using System.Text.Json;
using MultiAgent.Orchestrator.Tools.Sources;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tools.SubRuns;

/// <summary>A workflow that an agent starts.</summary>
internal sealed class WorkflowSubRun(string name, string slug, string? selector, WorkflowVersion workflow, SubRunCalls calls) : ISubRunTool
{
    public string Name => name;

    public string WireName { get; } = ToolNames.Wire("workflow", selector is null ? slug : $"{slug}_{selector}");

    public string MetricName => "workflow";

    public bool HasLargeResults => true;

    public string Description { get; } = $"Runs the workflow '{workflow.Slug}' to its end and returns its output.{(string.IsNullOrWhiteSpace(workflow.Definition.Description) ? "" : $" {workflow.Definition.Description}")}";

    public string ParametersSchema { get; } = workflow.Definition.Inputs?.Source.GetRawText() ?? """{"type":"object","properties":{}}""";

    public byte[] Definition => field ??= ToolRegistry.Define(WireName, Description, ParametersSchema);

    // A repeated call finds the run that the first one started.
    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public Task<SubRunTarget> TargetAsync(string tenantId, JsonElement arguments, CancellationToken cancellationToken) => calls.WorkflowAsync(tenantId, slug, selector, arguments, cancellationToken);

    public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken) =>
        calls.RunAsync(context, () => TargetAsync(context.TenantId, arguments, cancellationToken), cancellationToken);
}
