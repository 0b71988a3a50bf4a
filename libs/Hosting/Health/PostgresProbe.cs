using System.Diagnostics;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Hosting.Health;

/// <summary>Whether PostgreSQL answers, how fast, and whether it can be written to.</summary>
internal sealed class PostgresProbe(PostgresDatabase database, bool replica) : IHealthProbe
{
    public string Service => database.Service;

    public string Name => replica ? $"postgres-replica:{database.Service}" : $"postgres:{database.Service}";

    public static IEnumerable<IHealthProbe> Of(PostgresDatabase database)
    {
        yield return new PostgresProbe(database, replica: false);
        if (database.Server.HasReplica) yield return new PostgresProbe(database, replica: true);
    }

    public async ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using Npgsql.NpgsqlConnection connection = await (replica ? database.Server.Replica! : database.Server.Primary).OpenConnectionAsync(cancellationToken);
            // Opening a connection, which most requests need not do, is not its latency.
            long started = Stopwatch.GetTimestamp();
            await using var command = new Npgsql.NpgsqlCommand("SELECT pg_is_in_recovery()", connection);
            bool readOnly = await command.ExecuteScalarAsync(cancellationToken) is true;
            TimeSpan latency = Stopwatch.GetElapsedTime(started);
            if (replica) return ProbeResult.Ok() with { Latency = latency };
            return (readOnly ? ProbeResult.Down("it is a standby, which takes no writes") : ProbeResult.Ok($"{database.Writer.QueueLength} writes waiting{(database.Server.Prepares ? "" : "; statements are not prepared")}")) with { Latency = latency };
        }
        catch (Npgsql.NpgsqlException e)
        {
            string why = e is Npgsql.PostgresException server ? $"{server.SqlState} {server.MessageText}" : e.InnerException?.GetType().Name ?? e.GetType().Name;
            return replica ? ProbeResult.Degraded($"does not answer ({why}); the primary answers instead") : ProbeResult.Down(why);
        }
    }
}
