using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Tenants.Auth;

internal sealed class PostgresLoginFailureStore([FromKeyedServices(TenantModule.Service)] PostgresDatabase database) : ILoginFailureStore
{
    // Who logs in has no tenant yet.
    private static readonly TenantScope Platform = TenantScope.System("log-in");

    public Task<(int Failures, DateTimeOffset? LockedUntil)> FindAsync(string hash, DateTimeOffset since) => database.ReadAsync(Platform, s => s
        .Sql("SELECT failures, locked_until FROM tenant_service.login_failures WHERE email_hash = $1 AND updated_at > $2", hash, since).FirstAsync(row => (row.GetInt32(0), row.TimeOrNull(1))));

    public Task FailAsync(string hash, DateTimeOffset now, DateTimeOffset since, Func<int, DateTimeOffset?> lockedUntil) => database.WriteAsync(Platform, async s =>
    {
        // The row stays locked to the end, so failures in several replicas count one after the other. Numbers are given to new rows alone: seq bounds the table.
        int failures = await s.Sql("UPDATE tenant_service.login_failures SET failures = CASE WHEN updated_at > $3 THEN failures + 1 ELSE 1 END, updated_at = $2 WHERE email_hash = $1 RETURNING failures", hash, now, since)
            .FirstAsync(row => row.GetInt32(0));
        if (failures == 0)
        {
            failures = await s.Sql("""
                INSERT INTO tenant_service.login_failures AS f (email_hash, failures, updated_at) VALUES ($1, 1, $2)
                ON CONFLICT (email_hash) DO UPDATE SET failures = f.failures + 1, updated_at = $2 RETURNING failures
                """, hash, now).FirstAsync(row => row.GetInt32(0));
        }
        await s.Sql("UPDATE tenant_service.login_failures SET locked_until = $2 WHERE email_hash = $1", hash, lockedUntil(failures)).ExecuteAsync();
        await s.Sql("DELETE FROM tenant_service.login_failures WHERE seq IN (SELECT seq FROM tenant_service.login_failures WHERE updated_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)", since, ILoginFailureStore.CleanupBatch).ExecuteAsync();
        await s.Sql("DELETE FROM tenant_service.login_failures WHERE seq <= (SELECT max(seq) FROM tenant_service.login_failures) - $1", (long)ILoginFailureStore.MaxRows).ExecuteAsync();
    });

    public Task ForgiveAsync(string hash) => database.WriteAsync(Platform, s => s.Sql("DELETE FROM tenant_service.login_failures WHERE email_hash = $1", hash).ExecuteAsync());
}
