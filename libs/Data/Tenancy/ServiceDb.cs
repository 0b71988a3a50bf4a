using Microsoft.EntityFrameworkCore;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Data.Tenancy;

/// <summary>Opens contexts of one service's database for an explicit scope. There is no ambient tenant.</summary>
public sealed class ServiceDb<TContext>(SqliteDatabase database, Func<DbContextOptions<TContext>, TenantScope, TContext> create)
    where TContext : ServiceDbContext
{
    private readonly DbContextOptions<TContext> _options = new DbContextOptionsBuilder<TContext>().UseSqlite(database.ConnectionString).Options;

    /// <summary>The file beneath, for append-heavy paths.</summary>
    public SqliteDatabase Database => database;

    /// <summary>A context that sees and writes the rows of one tenant.</summary>
    public TContext Open(string tenantId) => create(_options, TenantScope.Of(tenantId));

    /// <summary>A context that sees all tenants' rows; <paramref name="reason"/> says what for.</summary>
    public TContext OpenSystem(string reason) => create(_options, TenantScope.System(reason));
}
