using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>
/// The MCP servers of the operator's configuration. Each tenant that uses one has a process of its own, so that none sees what another one left in it; what the server offers
/// is asked when somebody needs it.
/// </summary>
internal sealed partial class OperatorSources(IOptions<McpOptions> options, ToolSourceReader reader, TimeProvider time, ILogger<OperatorSources> logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<(string TenantId, string Name), (Task<ToolSource> Source, long Asked)> _sources = new();

    public bool IsTaken(string slug) => options.Value.Servers.Any(s => s.Name == slug);

    public async ValueTask<ToolSource?> FindAsync(string tenantId, string slug, CancellationToken cancellationToken) =>
        options.Value.Servers.FirstOrDefault(s => s.Name == slug && s.IsFor(tenantId)) is { } server ? await GetAsync(tenantId, server).WaitAsync(cancellationToken) : null;

    public async Task<IReadOnlyList<ToolSource>> AllAsync(string tenantId, CancellationToken cancellationToken) =>
        await Task.WhenAll(options.Value.Servers.Where(s => s.IsFor(tenantId)).Select(s => GetAsync(tenantId, s))).WaitAsync(cancellationToken);

    /// <summary>Its tools have changed.</summary>
    public void Changed(ToolSource source) => _sources.TryRemove((source.TenantId, source.Slug), out _);

    private Task<ToolSource> GetAsync(string tenantId, StdioServerOptions server)
    {
        if (_sources.TryGetValue((tenantId, server.Name), out (Task<ToolSource> Source, long Asked) known)
            && !(known.Source is { IsCompletedSuccessfully: true, Result.Tools.Count: 0 } && time.GetElapsedTime(known.Asked) > Pause)) return known.Source;
        Task<ToolSource> asking = ReadAsync(tenantId, server);
        _sources[(tenantId, server.Name)] = (asking, time.GetTimestamp());
        return asking;
    }

    private async Task<ToolSource> ReadAsync(string tenantId, StdioServerOptions server)
    {
        var spec = new ToolSourceSpec { Slug = server.Name, Kind = ToolSourceSpec.McpKind, Name = server.Name };
        string id = $"operator:{server.Name}:{tenantId}";
        ToolSource source = reader.Make(id, tenantId, spec, new SourceSecrets(null, null), [], server);
        try
        {
            SourceReading reading = (await reader.ReadAsync(source, null, CancellationToken.None))!;
            return reader.Make(id, tenantId, spec, new SourceSecrets(null, null), reading.Tools, server);
        }
        catch (SourceReadException e)
        {
            LogUnreadable(server.Name, e.Message);
            return source;
        }
    }

    [LoggerMessage(EventId = 1, EventName = "OperatorMcpServerUnreadable", Level = LogLevel.Warning, Message = "MCP server {Name} of the configuration cannot be used: {Why}")]
    private partial void LogUnreadable(string name, string why);
}
