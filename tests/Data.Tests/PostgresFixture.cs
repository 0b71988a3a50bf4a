using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Data.Tests;

/// <summary>A migrated database for the tests of a class.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private TestDatabase? _database;
    private PostgresDatabase? _tenants;

    public TestDatabase Database
    {
        get
        {
            Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
            return _database!;
        }
    }

    /// <summary>The tenant service's schema, as the app's role.</summary>
    public PostgresDatabase Tenants => _tenants ??= Database.Open("tenant-service");

    public async ValueTask InitializeAsync()
    {
        if (TestPostgres.Missing is null) _database = await (await TestPostgres.SharedAsync()).NewDatabaseAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_tenants is not null) await _tenants.DisposeAsync();
        if (_database is not null) await _database.DisposeAsync();
    }

    /// <summary>Adds a tenant with one user.</summary>
    public async Task AddTenantAsync(string id) => await Tenants.WriteAsync(TenantScope.System("test"), async session =>
    {
        await session.Sql("INSERT INTO tenant_service.tenants (id, slug, name, status, created_at) VALUES ($1, $1, $1, 'Active', now())", id).ExecuteAsync();
        await session.Sql("INSERT INTO tenant_service.users (id, tenant_id, email, normalized_email, name, password_hash, role, status, created_at) VALUES ($1, $2, 'a@b', 'A@B', 'n', 'h', 'Owner', 'Active', now())", $"usr_{id}", id).ExecuteAsync();
    });

    public static Task<List<string>> UsersAsync(PostgresSession session) => session.Sql("/* all tenants */ SELECT id FROM tenant_service.users ORDER BY id").ListAsync(r => r.GetString(0));
}
