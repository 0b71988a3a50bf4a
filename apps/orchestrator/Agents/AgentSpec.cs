using System.Text.Json;
using System.Text.Json.Serialization;
using MultiAgent.Orchestrator.Guardrails;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>What a tenant says about an agent; the body of POST and PUT, and what a version keeps.</summary>
internal sealed record AgentSpec
{
    /// <summary>Lower-case letters, digits and dashes, at most 64; unique in the tenant. Fixed once created.</summary>
    public string? Slug { get; init; }
    public string? Name { get; init; }
    public string? Description { get; init; }
    /// <summary>The system prompt: a Liquid template over the declared variables.</summary>
    public string? Instructions { get; init; }
    public IReadOnlyList<AgentVariable>? Variables { get; init; }
    /// <summary>A model or alias. Give this or <see cref="Tier"/>; with neither, <c>auto</c> chooses.</summary>
    public string? Model { get; init; }
    /// <summary><c>fast</c>, <c>balanced</c> or <c>strong</c>.</summary>
    public string? Tier { get; init; }
    /// <summary>Models to try when the first cannot answer.</summary>
    public IReadOnlyList<string>? Fallbacks { get; init; }
    public IReadOnlyList<AgentTool>? Tools { get; init; }
    /// <summary>JSON schema that the final answer follows.</summary>
    public JsonElement? ResponseFormat { get; init; }
    public double? Temperature { get; init; }
    public double? TopP { get; init; }
    /// <summary>Most tokens of one answer of the model.</summary>
    public int? MaxTokens { get; init; }
    public AgentLimits? Limits { get; init; }
    /// <summary>What becomes of a conversation that grows too large; the oldest messages are not sent when absent.</summary>
    public AgentContext? Context { get; init; }
    /// <summary>Checks before and after the model, in this order.</summary>
    public IReadOnlyList<GuardrailSpec>? Guardrails { get; init; }
    /// <summary>What a message does that comes while a run of its conversation is active: <c>reject</c> (default), <c>queue</c>, <c>interrupt</c> or <c>rollback</c>.</summary>
    public string? OnBusy { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }

    /// <summary>PUT only: false leaves the label <c>production</c> where it is. Not part of the version.</summary>
    public bool? Promote { get; init; }
}

/// <summary>A variable of the instructions.</summary>
internal sealed record AgentVariable
{
    public string? Name { get; init; }
    public string? Description { get; init; }
    /// <summary>A string, number or boolean.</summary>
    public JsonElement? Default { get; init; }
    public bool Required { get; init; }
}

/// <summary>A tool that the agent may use, with settings of that tool.</summary>
internal sealed record AgentTool
{
    public const double LongestSeconds = 300;
    /// <summary>Of a call that is a run, which may wait for people.</summary>
    public const double LongestRunSeconds = 31_622_400;

    /// <summary>A built-in tool, <c>source.tool</c> of one of the tenant's sources, <c>agent/slug</c> or <c>workflow/slug</c>.</summary>
    public string? Name { get; init; }
    /// <summary><c>http_request</c>: hosts it may call, e.g. <c>api.example.com</c> or <c>*.example.com</c>.</summary>
    public IReadOnlyList<string>? AllowedHosts { get; init; }
    /// <summary>Seconds that one call may take, at most 300, or 366 days for an agent or a workflow; the tool's own default when absent.</summary>
    public double? TimeoutSeconds { get; init; }
    /// <summary>Which calls a person has to agree to; none when absent.</summary>
    public ToolApproval? Approval { get; init; }
}

/// <summary>Which calls of a tool wait for a person's consent, and whose.</summary>
internal sealed record ToolApproval
{
    public const string Never = "never";
    public const string Always = "always";
    public const string Conditional = "when";
    public const int LongestSeconds = 31_622_400;
    public static readonly TimeSpan DefaultExpiry = TimeSpan.FromDays(7);

    /// <summary><c>never</c>, <c>always</c> or <c>when</c>; left out, it is <c>when</c> with a condition and <c>always</c> without.</summary>
    public string? Mode { get; init; }
    /// <summary>A Liquid condition over the call's arguments, e.g. <c>args.amount &gt; 100</c>.</summary>
    public string? When { get; init; }
    /// <summary>The role that may decide, <c>admin</c> by default; stronger ones may too.</summary>
    public string? Role { get; init; }
    /// <summary>Seconds after which the call is given up and the model told so; 7 days by default.</summary>
    public double? ExpiresSeconds { get; init; }
    /// <summary>Whom to ask besides, when nobody has decided.</summary>
    public ApprovalEscalation? Escalate { get; init; }
}

/// <summary>Another role that may decide after a while.</summary>
internal sealed record ApprovalEscalation
{
    public double? AfterSeconds { get; init; }
    public string? Role { get; init; }
}

/// <summary>Bounds of one run. A run that meets one stops and says so.</summary>
internal sealed record AgentLimits
{
    public const int DefaultMaxSteps = 10;
    public const int DefaultMaxSeconds = 300;

    /// <summary>Calls of the model; default 10, 1 to 100.</summary>
    public int? MaxSteps { get; init; }
    /// <summary>Input and output tokens of all model calls together.</summary>
    public long? MaxTokens { get; init; }
    public decimal? MaxCostUsd { get; init; }
    /// <summary>Default 300, 1 to 86 400.</summary>
    public int? MaxSeconds { get; init; }
    /// <summary>What changes when a share of any of these is used; nothing when absent.</summary>
    public SoftLimit? Soft { get; init; }
}

/// <summary>A run that comes near a limit goes on cheaper and shorter, rather than stop in the middle.</summary>
internal sealed record SoftLimit
{
    public const double DefaultAt = 0.8;
    public const int DefaultMaxTokens = 500;

    /// <summary>The share of a limit, 0.1 to 0.99; 0.8 by default.</summary>
    public double? At { get; init; }
    /// <summary>A model for the rest of the run. Give this or <see cref="Tier"/>.</summary>
    public string? Model { get; init; }
    /// <summary>A tier for the rest of the run; <c>fast</c> by default.</summary>
    public string? Tier { get; init; }
    /// <summary>Most tokens of one answer from then on; 500 by default.</summary>
    public int? MaxTokens { get; init; }
}

/// <summary>An agent as the API shows it.</summary>
internal sealed record AgentView
{
    public required string Id { get; init; }
    public required string Slug { get; init; }
    /// <summary>The version shown.</summary>
    public required int Version { get; init; }
    public required int LatestVersion { get; init; }
    public required IReadOnlyDictionary<string, int> Labels { get; init; }
    public string? Name { get; init; }
    public string? Description { get; init; }
    public string? Instructions { get; init; }
    public required IReadOnlyList<AgentVariable> Variables { get; init; }
    public string? Model { get; init; }
    public string? Tier { get; init; }
    public required IReadOnlyList<string> Fallbacks { get; init; }
    public required IReadOnlyList<AgentTool> Tools { get; init; }
    public JsonElement? ResponseFormat { get; init; }
    public double? Temperature { get; init; }
    public double? TopP { get; init; }
    public int? MaxTokens { get; init; }
    public required AgentLimits Limits { get; init; }
    public AgentContext? Context { get; init; }
    public required IReadOnlyList<GuardrailSpec> Guardrails { get; init; }
    public required string OnBusy { get; init; }
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
}

/// <summary>A line of the list of an agent's versions.</summary>
internal sealed record AgentVersionSummary(int Version, DateTimeOffset CreatedAt, string? CreatedBy, IReadOnlyList<string> Labels);

/// <summary>Body of PUT /labels/{label}.</summary>
internal sealed record LabelRequest(int Version);

/// <summary>JSON of stored definitions.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(AgentSpec))]
internal sealed partial class AgentJson : JsonSerializerContext;
