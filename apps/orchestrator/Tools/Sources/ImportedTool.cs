using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>A tool as its source described it when it was last read.</summary>
internal sealed record ImportedTool
{
    /// <summary>Second part of the name: letters, digits, dashes and underscores; unique in the source.</summary>
    public required string Name { get; init; }
    /// <summary>What the source calls it.</summary>
    public required string RemoteName { get; init; }
    public required string Description { get; init; }
    /// <summary>JSON schema of the arguments: an object.</summary>
    public required JsonElement Parameters { get; init; }
    /// <summary>JSON schema of the result.</summary>
    public JsonElement? Result { get; init; }
    public required ToolEffect Effect { get; init; }
    /// <summary>The author says that it may destroy something.</summary>
    public bool? Destructive { get; init; }
    /// <summary>How the call is made over HTTP; only of OpenAPI sources.</summary>
    public HttpOperation? Http { get; init; }
    /// <summary>What is asked of an MCP server; only of those.</summary>
    public McpOperation Mcp { get; init; }
}

/// <summary>Requests of the Model Context Protocol that are offered as tools.</summary>
internal enum McpOperation
{
    CallTool,
    ListResources,
    ReadResource,
}

/// <summary>An operation of an HTTP API.</summary>
internal sealed record HttpOperation
{
    public required string Method { get; init; }
    /// <summary>Absolute, without query; parameters in braces.</summary>
    public required string Url { get; init; }
    public required IReadOnlyList<HttpParameter> Parameters { get; init; }
    /// <summary>The argument that is the request's body.</summary>
    public string? BodyArgument { get; init; }
    public string? BodyType { get; init; }
    /// <summary>The header that makes a repetition harmless.</summary>
    public string? IdempotencyHeader { get; init; }
}

/// <summary>An argument that goes outside the body.</summary>
/// <param name="Argument">Its name in the arguments.</param>
/// <param name="Name">Its name on the wire.</param>
/// <param name="In"><c>path</c>, <c>query</c>, <c>header</c> or <c>cookie</c>.</param>
/// <param name="Explode">Items of a list are repeated, rather than joined by <paramref name="Separator"/>.</param>
/// <param name="Separator">Between items.</param>
/// <param name="Deep">Members of an object are written as <c>name[member]</c>.</param>
internal sealed record HttpParameter(string Argument, string Name, string In, bool Explode, string Separator, bool Deep);
