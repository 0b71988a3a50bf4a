using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>A table in partitions by time, and for how many days its rows stay (0: for ever).</summary>
public sealed record PartitionedTable(string Name, int KeepDays);

/// <summary>
/// Makes the partitions of a service's tables ahead of time and drops those whose rows are all too old: at the start, and every six hours. The app's role
/// may change no schema; the database has two functions for it that do this and nothing else, under a lock, so that replicas do not meet.
/// </summary>
internal sealed partial class PartitionMaintenance(PostgresServer server, IReadOnlyList<PartitionedTable> tables, TimeProvider time, ILogger<PartitionMaintenance> logger) : BackgroundService
{
    // Spans (weeks, months) that are there before their time: long enough to be told by a log that they cannot be made.
    private const int Ahead = 3;

    private static readonly TimeSpan Pause = TimeSpan.FromHours(6);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMinutes(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (tables.Count > 0 && !stoppingToken.IsCancellationRequested)
        {
            bool all = true;
            foreach (PartitionedTable table in tables)
            {
                try
                {
                    await MaintainAsync(table, stoppingToken);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    all = false;
                    LogFailed(e, table.Name);
                }
            }
            await Task.Delay(all ? Pause : AfterFailure, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Does it once; returns how many partitions were made and how many dropped.</summary>
    internal async Task<(int Made, int Dropped)> MaintainAsync(PartitionedTable table, CancellationToken cancellationToken)
    {
        int made = await CallAsync("SELECT maap.ensure_partitions($1, $2)", table.Name, Ahead, cancellationToken);
        int dropped = table.KeepDays == 0 ? 0 : await CallAsync("SELECT maap.drop_partitions($1, $2)", table.Name, table.KeepDays, cancellationToken);
        if (made + dropped > 0) LogMaintained(table.Name, made, dropped);
        return (made, dropped);
    }

    private async Task<int> CallAsync(string sql, string table, int number, CancellationToken cancellationToken)
    {
        await using NpgsqlCommand command = server.Primary.CreateCommand(sql);
        command.Parameters.Add(new() { Value = table });
        command.Parameters.Add(new() { Value = number });
        // Rows may have to be moved out of the default partition.
        command.CommandTimeout = 600;
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    [LoggerMessage(EventId = 1, EventName = "PartitionsMaintained", Level = LogLevel.Information, Message = "{Table}: {Made} partitions made ahead, {Dropped} dropped")]
    private partial void LogMaintained(string table, int made, int dropped);

    [LoggerMessage(EventId = 2, EventName = "PartitionsFailed", Level = LogLevel.Warning, Message = "The partitions of {Table} could not be maintained; trying again in five minutes")]
    private partial void LogFailed(Exception e, string table);
}
