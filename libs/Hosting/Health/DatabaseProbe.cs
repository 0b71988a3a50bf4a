using MultiAgent.Data.Sqlite;

namespace MultiAgent.Hosting.Health;

/// <summary>Reads one row and goes through the write queue, so that a full disk or a stuck writer shows.</summary>
internal sealed class DatabaseProbe(SqliteDatabase database) : IHealthProbe
{
    public string Service => database.Service;

    public string Name => $"sqlite:{database.Service}";

    private static long UserVersion(SqliteSession session)
    {
        SqliteStatement statement = session.Prepare("PRAGMA user_version");
        statement.Step();
        long version = statement.Int64(0);
        statement.Reset();
        return version;
    }

    public async ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
    {
        database.Read(session =>
        {
            SqliteStatement statement = session.Prepare("SELECT 1");
            statement.Step();
            statement.Reset();
            return true;
        });
        // Rewrites the schema's own version: a write that changes nothing, but that a full disk refuses.
        await database.Writer.WriteAsync(static session => session.Execute("PRAGMA user_version = " + UserVersion(session))).WaitAsync(cancellationToken);
        return ProbeResult.Ok($"{database.Writer.QueueLength} writes waiting");
    }
}
