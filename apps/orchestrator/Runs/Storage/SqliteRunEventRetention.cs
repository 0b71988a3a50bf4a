using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Data;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Orchestrator.Runs.Storage;

/// <summary>Deletes the events of runs that are older than <c>Data:RunEventDays</c> from SQLite, hourly and in batches; on PostgreSQL their partitions are dropped.</summary>
internal sealed partial class SqliteRunEventRetention([FromKeyedServices(OrchestratorModule.ServiceName)] SqliteDatabase database, Databases databases, IOptions<DataOptions> options, TimeProvider time,
    ILogger<SqliteRunEventRetention> logger) : BackgroundService
{
    private const int Batch = 1000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        int days = options.Value.RunEventDays;
        if (databases.UsesPostgres || days == 0) return;
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), time);
        do
        {
            try
            {
                // Ids begin with their time, and the log is in the order of the ids.
                string before = Ids.LowerBound("run", time.GetUtcNow().AddDays(-days));
                while (await DeleteAsync(before) == Batch) stoppingToken.ThrowIfCancellationRequested();
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private Task<int> DeleteAsync(string before) => database.Writer.WriteAsync(session => session.Prepare("""
        /* all tenants */ DELETE FROM run_events WHERE (run_id, seq) IN (SELECT run_id, seq FROM run_events
            WHERE run_id < ?1 AND run_id NOT IN (SELECT id FROM runs WHERE status IN ('queued', 'running', 'waiting')) ORDER BY run_id, seq LIMIT ?2)
        """).Bind(1, before).Bind(2, Batch).Execute());

    [LoggerMessage(EventId = 1, EventName = "RunEventRetentionFailed", Level = LogLevel.Warning, Message = "Old events of runs could not be deleted; trying again in an hour")]
    private partial void LogFailed(Exception e);
}
