using System.Collections.Frozen;

namespace MultiAgent.Orchestrator.Tools.Sources;

/// <summary>A source of one tenant, ready to be called. Immutable; a change makes another one.</summary>
internal sealed class ToolSource
{
    public const double DefaultTimeoutSeconds = 20;
    public const int DefaultMaxResultBytes = 1024 * 1024;

    private readonly FrozenDictionary<string, ITool> _tools;

    public ToolSource(string id, string tenantId, string configuration, ToolSourceSpec spec, SourceSecrets secrets, IReadOnlyList<ImportedTool> imported, Func<ToolSource, ImportedTool, ITool> bind)
    {
        Id = id;
        TenantId = tenantId;
        Configuration = configuration;
        Spec = spec;
        Secrets = secrets;
        Tools = [.. imported.Select(t => bind(this, t))];
        _tools = Tools.ToFrozenDictionary(t => t.Name, StringComparer.Ordinal);
    }

    public string Id { get; }
    public string TenantId { get; }
    /// <summary>Differs when anything was changed that a connection depends on.</summary>
    public string Configuration { get; }
    public ToolSourceSpec Spec { get; }
    public SourceSecrets Secrets { get; }
    public string Slug => Spec.Slug!;
    public IReadOnlyList<ITool> Tools { get; }

    /// <summary>The command that the operator configured, in place of a URL.</summary>
    public Mcp.StdioServerOptions? Command { get; init; }

    public ITool? Find(string name) => _tools.GetValueOrDefault(name);
}
