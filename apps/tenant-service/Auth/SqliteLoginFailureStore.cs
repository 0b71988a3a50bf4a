using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Tenants.Auth;

internal sealed class SqliteLoginFailureStore([FromKeyedServices(TenantModule.Service)] SqliteDatabase database) : ILoginFailureStore
{
    public Task<(int Failures, DateTimeOffset? LockedUntil)> FindAsync(string hash, DateTimeOffset since) => Task.FromResult(database.Read(s => Find(s, hash, since)));

    public Task FailAsync(string hash, DateTimeOffset now, DateTimeOffset since, Func<int, DateTimeOffset?> lockedUntil) => database.Writer.WriteAsync(s =>
    {
        int failures = Find(s, hash, since).Failures + 1;
        s.Prepare("""
            INSERT INTO login_failures (email_hash, failures, locked_until, updated_at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (email_hash) DO UPDATE SET failures = ?2, locked_until = ?3, updated_at = ?4
            """).Bind(1, hash).Bind(2, failures).Bind(3, lockedUntil(failures)).Bind(4, now).Execute();
        s.Prepare("DELETE FROM login_failures WHERE seq IN (SELECT seq FROM login_failures WHERE updated_at <= ?1 LIMIT ?2)").Bind(1, since).Bind(2, ILoginFailureStore.CleanupBatch).Execute();
        s.Prepare("DELETE FROM login_failures WHERE seq <= (SELECT max(seq) FROM login_failures) - ?1").Bind(1, ILoginFailureStore.MaxRows).Execute();
    });

    public Task ForgiveAsync(string hash) => database.Writer.WriteAsync(s => { s.Prepare("DELETE FROM login_failures WHERE email_hash = ?1").Bind(1, hash).Execute(); });

    private static (int Failures, DateTimeOffset? LockedUntil) Find(SqliteSession s, string hash, DateTimeOffset since)
    {
        SqliteStatement find = s.Prepare("SELECT failures, locked_until FROM login_failures WHERE email_hash = ?1 AND updated_at > ?2").Bind(1, hash).Bind(2, since);
        if (!find.Step()) return (0, null);
        var found = ((int)find.Int64(0), find.TimeOrNull(1));
        find.Reset();
        return found;
    }
}
