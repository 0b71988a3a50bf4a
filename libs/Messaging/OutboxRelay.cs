using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Contracts.Events;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Messaging;

/// <summary>Publishes what is in the outbox of one service's database, in order, and then deletes it.</summary>
internal sealed partial class OutboxRelay(SqliteDatabase database, IEventBus bus, TimeProvider time, ILogger<OutboxRelay> logger) : BackgroundService
{
    private const int Batch = 500;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan AfterFailure = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            TimeSpan pause = Pause;
            try
            {
                if (await RelayAsync() == Batch) continue;
            }
            catch (Exception e)
            {
                LogFailed(e, database.Service);
                pause = AfterFailure;
            }
            await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            // What the last requests wrote goes out now rather than at the next start.
            while (await RelayAsync() == Batch) cancellationToken.ThrowIfCancellationRequested();
        }
        catch (Exception e)
        {
            LogFailed(e, database.Service);
        }
    }

    private async Task<int> RelayAsync()
    {
        (List<EventEnvelope> events, long last) = database.Read(Read);
        if (events.Count == 0) return 0;
        await bus.PublishAsync(events);
        // A crash here publishes them again at the next start; the bus drops ids it knows.
        await database.Writer.WriteAsync(session => { session.Prepare("/* all tenants */ DELETE FROM outbox WHERE seq <= ?1").Bind(1, last).Execute(); });
        return events.Count;
    }

    private static (List<EventEnvelope> Events, long Last) Read(SqliteSession session)
    {
        var events = new List<EventEnvelope>();
        long last = 0;
        SqliteStatement rows = session
            .Prepare("SELECT seq, id, subject, source, tenant_id, ordering_key, time, trace_parent, data FROM outbox ORDER BY seq LIMIT ?1").Bind(1, Batch);
        while (rows.Step())
        {
            last = rows.Int64(0);
            events.Add(new EventEnvelope
            {
                Id = rows.Text(1),
                Subject = rows.Text(2),
                Source = rows.Text(3),
                TenantId = rows.TextOrNull(4),
                OrderingKey = rows.TextOrNull(5),
                Time = rows.Time(6),
                TraceParent = rows.TextOrNull(7),
                Data = rows.Bytes(8).ToArray(),
            });
        }
        return (events, last);
    }

    [LoggerMessage(EventId = 1, EventName = "OutboxRelayFailed", Level = LogLevel.Error, Message = "Events of {Service} could not be published; they stay in the outbox")]
    private partial void LogFailed(Exception e, string service);
}
