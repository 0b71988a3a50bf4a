using MultiAgent.Workflows.Steps;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Workflows;

/// <summary>A workflow as read from its source: checked, compiled, immutable.</summary>
public sealed record WorkflowDefinition
{
    public const string ApiVersion = "maap/v1";
    public const string Kind = "Workflow";

    /// <summary>The slug.</summary>
    public required string Name { get; init; }
    public string? Description { get; init; }
    /// <summary>What inputs must look like; null when anything goes.</summary>
    public JsonShape? Inputs { get; init; }
    /// <summary>The result; null stands for the output of the last step.</summary>
    public ValueTemplate? Output { get; init; }
    /// <summary>What the result must look like.</summary>
    public JsonShape? OutputSchema { get; init; }
    /// <summary>What the run's steps and agents share, by name; empty: nothing.</summary>
    public required IReadOnlyDictionary<string, BlackboardEntry> Blackboard { get; init; }
    public required WorkflowLimits Limits { get; init; }
    public required IReadOnlyList<Step> Steps { get; init; }

    /// <summary>Every step by id: nested ones and compensations too.</summary>
    public required IReadOnlyDictionary<string, Step> ById { get; init; }

    /// <summary>The agents, workflows and tools that steps name, each with its place.</summary>
    public required IReadOnlyList<WorkflowReference> References { get; init; }
}

/// <summary>Bounds of one run of a workflow. A run that meets one stops and says so.</summary>
public sealed record WorkflowLimits
{
    /// <summary>Steps that may be executed, each iteration and item counted; default 1000, 1 to 100 000.</summary>
    public int MaxSteps { get; init; } = 1000;
    /// <summary>Input and output tokens of all model calls together.</summary>
    public long? MaxTokens { get; init; }
    public decimal? MaxCostUsd { get; init; }
    /// <summary>From start to end, waiting included; null for no bound.</summary>
    public int? MaxSeconds { get; init; }
}

/// <summary>What a step refers to outside of the workflow.</summary>
public enum ReferenceKind
{
    Agent,
    Workflow,
    Tool,
}

/// <summary>A name that must exist in the tenant, and where it stands.</summary>
public sealed record WorkflowReference(ReferenceKind Kind, string Name, string Path, int Line, int Column);
