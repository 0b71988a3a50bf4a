using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Data;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Analytics;

/// <summary>
/// Deletes usage records, journeys and logged requests that are older than <c>Data:UsageDays</c>, <c>Data:JourneyDays</c> and <c>Data:RequestDays</c> from SQLite, hourly and in batches; on PostgreSQL their
/// partitions are dropped.
/// </summary>
internal sealed partial class SqliteAnalyticsRetention([FromKeyedServices(AnalyticsModule.Service)] SqliteDatabase database, Databases databases, IOptions<DataOptions> options, TimeProvider time,
    ILogger<SqliteAnalyticsRetention> logger) : BackgroundService
{
    private const int Batch = 1000;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (databases.UsesPostgres) return;
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), time);
        do
        {
            try
            {
                DateTimeOffset now = time.GetUtcNow();
                // The tables are in the order of their tenants, so each tenant's old rows lie together.
                if (options.Value.UsageDays is > 0 and var usageDays)
                {
                    foreach (string tenant in Tenants("usage")) await DeleteAsync(Usage, tenant, now.AddDays(-usageDays), stoppingToken);
                }
                if (options.Value.RequestDays is > 0 and var requestDays)
                {
                    foreach (string tenant in Tenants("requests")) await DeleteAsync(Requests, tenant, now.AddDays(-requestDays), stoppingToken);
                }
                if (options.Value.JourneyDays is > 0 and var journeyDays)
                {
                    foreach (string tenant in Tenants("journeys"))
                    {
                        await DeleteAsync(Steps, tenant, now.AddDays(-journeyDays), stoppingToken);
                        await DeleteAsync(Journeys, tenant, now.AddDays(-journeyDays), stoppingToken);
                    }
                }
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    // Jumps from tenant to tenant instead of reading every row.
    private List<string> Tenants(string table) => database.Read(session =>
    {
        using SqliteStatement rows = session.PrepareOnce($"""
            WITH RECURSIVE t (tenant_id) AS (SELECT min(tenant_id) FROM {table} UNION ALL SELECT (SELECT min(tenant_id) FROM {table} WHERE tenant_id > t.tenant_id) FROM t WHERE t.tenant_id IS NOT NULL)
            SELECT tenant_id FROM t WHERE tenant_id IS NOT NULL
            """);
        var tenants = new List<string>();
        while (rows.Step()) tenants.Add(rows.Text(0));
        return tenants;
    });

    private async Task DeleteAsync(Func<SqliteSession, string, DateTimeOffset, int> delete, string tenant, DateTimeOffset before, CancellationToken cancellationToken)
    {
        while (await database.Writer.WriteAsync(session => delete(session, tenant, before)) == Batch) cancellationToken.ThrowIfCancellationRequested();
    }

    private static int Usage(SqliteSession session, string tenant, DateTimeOffset before) => session
        .Prepare("DELETE FROM usage WHERE tenant_id = ?1 AND (at, id) IN (SELECT at, id FROM usage WHERE tenant_id = ?1 AND at < ?2 ORDER BY at LIMIT ?3)")
        .Bind(1, tenant).Bind(2, before).Bind(3, Batch).Execute();

    private static int Requests(SqliteSession session, string tenant, DateTimeOffset before) => session
        .Prepare("DELETE FROM requests WHERE tenant_id = ?1 AND (at, id) IN (SELECT at, id FROM requests WHERE tenant_id = ?1 AND at < ?2 ORDER BY at LIMIT ?3)")
        .Bind(1, tenant).Bind(2, before).Bind(3, Batch).Execute();

    private static int Journeys(SqliteSession session, string tenant, DateTimeOffset before) => session
        .Prepare("DELETE FROM journeys WHERE tenant_id = ?1 AND id IN (SELECT id FROM journeys WHERE tenant_id = ?1 AND id < ?2 ORDER BY id LIMIT ?3)")
        .Bind(1, tenant).Bind(2, Ids.LowerBound("jrn", before)).Bind(3, Batch).Execute();

    private static int Steps(SqliteSession session, string tenant, DateTimeOffset before) => session
        .Prepare("DELETE FROM journey_steps WHERE tenant_id = ?1 AND id IN (SELECT id FROM journey_steps WHERE tenant_id = ?1 AND journey_id < ?2 LIMIT ?3)")
        .Bind(1, tenant).Bind(2, Ids.LowerBound("jrn", before)).Bind(3, Batch).Execute();

    [LoggerMessage(EventId = 1, EventName = "AnalyticsRetentionFailed", Level = LogLevel.Warning, Message = "Old usage, journeys and requests could not be deleted; trying again in an hour")]
    private partial void LogFailed(Exception e);
}
