using System.Text.Json;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>A workflow as the API shows it.</summary>
internal sealed record WorkflowView
{
    public required string Id { get; init; }
    public required string Slug { get; init; }
    /// <summary>The version shown.</summary>
    public required int Version { get; init; }
    public required int LatestVersion { get; init; }
    public required IReadOnlyDictionary<string, int> Labels { get; init; }
    public string? Description { get; init; }
    /// <summary>The workflow as JSON; not in lists.</summary>
    public JsonElement? Definition { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>A line of the list of a workflow's versions.</summary>
internal sealed record WorkflowVersionSummary(int Version, DateTimeOffset CreatedAt, string? CreatedBy, string? Description, IReadOnlyList<string> Labels);

/// <summary>Body of PUT /labels/{label}.</summary>
internal sealed record WorkflowLabelRequest(int Version);

/// <summary>What POST /validate found.</summary>
internal sealed record WorkflowCheck(bool Valid, string? Name, IReadOnlyList<WorkflowProblem> Problems);
