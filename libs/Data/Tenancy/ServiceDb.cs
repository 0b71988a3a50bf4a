using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Data.Tenancy;

/// <summary>Opens contexts of one service's database for an explicit scope. There is no ambient tenant.</summary>
public sealed class ServiceDb<TContext> where TContext : ServiceDbContext
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _parts = new();
    private readonly PostgresDatabase? _postgres;
    private readonly Lazy<DbContextOptions<TContext>> _options;
    private readonly Func<DbContextOptions<TContext>, TenantScope, TContext> _create;

    /// <summary>On a SQLite file.</summary>
    public ServiceDb(SqliteDatabase database, Func<DbContextOptions<TContext>, TenantScope, TContext> create)
    {
        _options = new(() => new DbContextOptionsBuilder<TContext>().UseSqlite(database.ConnectionString).Options);
        _create = create;
    }

    /// <summary>On a schema of PostgreSQL.</summary>
    public ServiceDb(PostgresDatabase database, Func<DbContextOptions<TContext>, TenantScope, TContext> create)
    {
        // Not before the first use: how the server is connected to is found out at the start.
        _options = new(() => new DbContextOptionsBuilder<TContext>().UseNpgsql(database.Server.Primary, npgsql => npgsql.ExecutionStrategy(Retry)).AddInterceptors(TenantInterceptor.Instance).Options);
        _postgres = database;
        _create = create;
    }

    /// <summary>A context that sees and writes the rows of one tenant.</summary>
    public TContext Open(string tenantId) => _create(_options.Value, TenantScope.Of(tenantId));

    /// <summary>A context that sees all tenants' rows; <paramref name="reason"/> says what for.</summary>
    public TContext OpenSystem(string reason) => _create(_options.Value, TenantScope.System(reason));

    /// <summary>Runs <paramref name="work"/> while nobody else is in the same part, in this process or in another on the same database.</summary>
    /// <param name="part">One of few names: each is kept.</param>
    public async Task<T> ExclusivelyAsync<T>(string part, Func<Task<T>> work, CancellationToken cancellationToken)
    {
        // One of this process at a time asks the database: each that waited there would hold a connection.
        SemaphoreSlim gate = _parts.GetOrAdd(part, _ => new SemaphoreSlim(1, 1));
        await gate.WaitAsync(cancellationToken);
        try
        {
            return _postgres is null ? await work() : await _postgres.ExclusivelyAsync(part, work, cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    private static IExecutionStrategy Retry(ExecutionStrategyDependencies dependencies) => new UndoneWorkStrategy(dependencies);

    /// <summary>Repeats what PostgreSQL surely undid; nothing inside a transaction of the caller, who alone knows all of it.</summary>
    private sealed class UndoneWorkStrategy(ExecutionStrategyDependencies dependencies) : ExecutionStrategy(dependencies, PostgresFaults.Attempts - 1, TimeSpan.FromMilliseconds(200))
    {
        // The base refuses to begin inside a transaction; here it only does not repeat.
        protected override void OnFirstExecution() => ExceptionsEncountered.Clear();

        protected override bool ShouldRetryOn(Exception exception) => Dependencies.CurrentContext.Context.Database.CurrentTransaction is null && PostgresFaults.IsUndone(exception);
    }
}
