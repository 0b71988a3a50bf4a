using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Orchestrator.Tools.Sources.Mcp;

/// <summary>Reads sources again whose server said that its tools have changed.</summary>
internal sealed partial class McpRefresher(McpConnections connections, OperatorSources operators, ToolSourceCommands commands, ILogger<McpRefresher> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await foreach (ToolSource source in connections.Changed.Reader.ReadAllAsync(stoppingToken))
        {
            try
            {
                if (source.Command is not null) operators.Changed(source);
                else await commands.RefreshAsync(source.TenantId, source.Slug, stoppingToken);
            }
            catch (Exception e) when (e is not OperationCanceledException || !stoppingToken.IsCancellationRequested)
            {
                LogFailed(e, source.Slug, source.TenantId);
            }
        }
    }

    [LoggerMessage(EventId = 1, EventName = "ToolSourceNotRefreshed", Level = LogLevel.Warning, Message = "The changed tools of source {Source} of tenant {TenantId} could not be read")]
    private partial void LogFailed(Exception e, string source, string tenantId);
}
