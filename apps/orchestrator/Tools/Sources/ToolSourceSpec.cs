using System.Text.Json;
using System.Text.Json.Serialization;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>What a tenant says about a source of tools: the body of POST and PUT.</summary>
internal sealed record ToolSourceSpec
{
    public const string OpenApiKind = "openapi";
    public const string McpKind = "mcp";

    /// <summary>First part of its tools' names; lower-case letters, digits and dashes, at most 32; unique in the tenant. Fixed once created.</summary>
    public string? Slug { get; init; }
    /// <summary><c>openapi</c> or <c>mcp</c>. Fixed once created.</summary>
    public string? Kind { get; init; }
    public string? Name { get; init; }
    public string? Description { get; init; }
    public OpenApiSpec? OpenApi { get; init; }
    public McpSpec? Mcp { get; init; }
    /// <summary>Kept as it is by a PUT that leaves it out.</summary>
    public SourceAuth? Auth { get; init; }
    public SourceLimits? Limits { get; init; }
    /// <summary>US dollars that one call costs; counts in the run's cost and limits.</summary>
    public decimal? CostUsd { get; init; }
    /// <summary>Results that do not fit the schema that the source declares are errors. Default true.</summary>
    public bool? ValidateResults { get; init; }
}

/// <summary>An HTTP API that an OpenAPI document describes.</summary>
internal sealed record OpenApiSpec
{
    /// <summary>The document: an object, or text in JSON or YAML. Give this or <see cref="DocumentUrl"/>; a PUT with neither keeps the operations.</summary>
    public JsonElement? Document { get; init; }
    /// <summary>Where the document is; read now, and again by a refresh.</summary>
    public string? DocumentUrl { get; init; }
    /// <summary>Where the API is, in place of the document's first server.</summary>
    public string? ServerUrl { get; init; }
    /// <summary>Ids of the operations to take; all when absent.</summary>
    public IReadOnlyList<string>? Operations { get; init; }
    /// <summary>The API does a POST or PATCH once that comes twice with the same value in this header, e.g. <c>Idempotency-Key</c>.</summary>
    public string? IdempotencyHeader { get; init; }
}

/// <summary>An MCP server over Streamable HTTP.</summary>
internal sealed record McpSpec
{
    public string? Url { get; init; }
    /// <summary>Names of the tools to take; all when absent.</summary>
    public IReadOnlyList<string>? Tools { get; init; }
}

/// <summary>Credentials; write-only.</summary>
internal sealed record SourceAuth
{
    /// <summary>Headers that every call carries.</summary>
    public IReadOnlyDictionary<string, string>? Headers { get; init; }
    /// <summary>OAuth 2.0 client credentials; the token goes as <c>Authorization: Bearer</c>.</summary>
    public SourceOAuth? OAuth { get; init; }
}

internal sealed record SourceOAuth
{
    public string? TokenUrl { get; init; }
    public string? ClientId { get; init; }
    public string? ClientSecret { get; init; }
    public string? Scope { get; init; }
    /// <summary>The resource that the token is for (RFC 8707).</summary>
    public string? Resource { get; init; }
}

/// <summary>Bounds of the calls to one source.</summary>
internal sealed record SourceLimits
{
    /// <summary>Seconds of one attempt. Default 20; 0.1 to 300.</summary>
    public double? TimeoutSeconds { get; init; }
    /// <summary>Attempts at a call that may be repeated. Default 3; 1 to 5.</summary>
    public int? MaxAttempts { get; init; }
    /// <summary>Calls at the same time, in one process. Default 16; 1 to 256.</summary>
    public int? MaxConcurrent { get; init; }
    /// <summary>Bytes of a result; a larger one is an error. Default 1 048 576; 1 024 to 4 194 304.</summary>
    public int? MaxResultBytes { get; init; }
}

/// <summary>What is encrypted of a source.</summary>
internal sealed record SourceSecrets(IReadOnlyDictionary<string, string>? Headers, string? ClientSecret);

/// <summary>A source as the API shows it.</summary>
internal sealed record ToolSourceView
{
    public required string Id { get; init; }
    public required string Slug { get; init; }
    public required string Kind { get; init; }
    public string? Name { get; init; }
    public string? Description { get; init; }
    public OpenApiView? OpenApi { get; init; }
    public McpSpec? Mcp { get; init; }
    public SourceAuthView? Auth { get; init; }
    public required SourceLimits Limits { get; init; }
    public decimal? CostUsd { get; init; }
    public required bool ValidateResults { get; init; }
    /// <summary>Names of its tools, as agents list them.</summary>
    public required IReadOnlyList<string> Tools { get; init; }
    /// <summary>What of it could not be taken, and why; only in the answer to a change.</summary>
    public IReadOnlyList<string>? Skipped { get; init; }
    /// <summary>Why it could not be read when that was last tried; its tools are those of the time before.</summary>
    public string? Problem { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    public required DateTimeOffset UpdatedAt { get; init; }
    public DateTimeOffset? RefreshedAt { get; init; }
}

/// <summary>The part of an OpenAPI source that is shown.</summary>
internal sealed record OpenApiView
{
    public string? DocumentUrl { get; init; }
    public string? ServerUrl { get; init; }
    public IReadOnlyList<string>? Operations { get; init; }
    public string? IdempotencyHeader { get; init; }
}

/// <summary>Which credentials there are, without their values.</summary>
internal sealed record SourceAuthView(IReadOnlyList<string> Headers, SourceOAuth? OAuth);

/// <summary>JSON of stored sources.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ToolSourceSpec))]
[JsonSerializable(typeof(SourceSecrets))]
[JsonSerializable(typeof(IReadOnlyList<ImportedTool>))]
internal sealed partial class ToolSourceJson : JsonSerializerContext;
