using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>An MCP server that the operator starts as a process and that speaks over its standard input and output.</summary>
internal sealed class StdioServerOptions
{
    /// <summary>First part of its tools' names; lower-case letters, digits and dashes, at most 32. Tenants cannot have a source of the same name.</summary>
    public string Name { get; set; } = "";

    /// <summary>The program to start.</summary>
    public string Command { get; set; } = "";

    public IList<string> Arguments { get; set; } = [];

    /// <summary>Environment variables; the platform's own, which hold its secrets, are not passed on.</summary>
    public IDictionary<string, string> Environment { get; set; } = new Dictionary<string, string>();

    /// <summary>Ids of the tenants that may use it; all when empty.</summary>
    public IList<string> Tenants { get; set; } = [];

    public bool IsFor(string tenantId) => Tenants.Count == 0 || Tenants.Contains(tenantId);
}

/// <summary>Section <c>Tools:Mcp</c>.</summary>
internal sealed class McpOptions
{
    /// <summary>MCP servers that are started as processes. Default none.</summary>
    public IList<StdioServerOptions> Servers { get; set; } = [];

    /// <summary>Seconds after which a connection to an MCP server that nobody uses is closed. Default 300; 10 to 86 400.</summary>
    public int IdleSeconds { get; set; } = 300;

    /// <summary>Connections to MCP servers that one process keeps. Default 256; 1 to 10 000.</summary>
    public int MaxConnections { get; set; } = 256;
}

internal sealed class McpOptionsValidator : IValidateOptions<McpOptions>
{
    public ValidateOptionsResult Validate(string? name, McpOptions options)
    {
        var errors = new List<string>();
        if (options.IdleSeconds is < 10 or > 86_400) errors.Add($"Tools:Mcp:IdleSeconds is {options.IdleSeconds}; set it between 10 and 86400.");
        if (options.MaxConnections is < 1 or > 10_000) errors.Add($"Tools:Mcp:MaxConnections is {options.MaxConnections}; set it between 1 and 10000.");
        for (int i = 0; i < options.Servers.Count; i++)
        {
            StdioServerOptions server = options.Servers[i];
            if (!ToolNames.IsSlug(server.Name) || ToolNames.Reserved.Contains(server.Name)) errors.Add($"Tools:Mcp:Servers:{i}:Name is '{server.Name}'; give lower-case letters, digits and dashes, at most 32.");
            else if (options.Servers.Take(i).Any(s => s.Name == server.Name)) errors.Add($"Tools:Mcp:Servers:{i}:Name '{server.Name}' is there twice.");
            if (string.IsNullOrWhiteSpace(server.Command)) errors.Add($"Tools:Mcp:Servers:{i}:Command is empty; name the program to start.");
        }
        return errors.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(errors);
    }
}
