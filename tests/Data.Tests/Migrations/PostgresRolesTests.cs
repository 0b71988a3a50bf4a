using MultiAgent.Data.Migrations;
using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Data.Tests.Migrations;

public sealed class PostgresRolesTests
{
    [Fact]
    public async Task Roles_AreNeitherSuperusersNorExempt_AndTheirPasswordsStandInNoLog()
    {
        TestPostgres server = await ServerAsync();
        await using TestDatabase database = await server.NewDatabaseAsync();
        await using NpgsqlDataSource super = TestDatabase.Connect(database.SuperUrl);
        await using NpgsqlCommand command = super.CreateCommand("SELECT bool_or(rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication), bool_and(rolcanlogin) FROM pg_roles WHERE rolname IN ('maap_owner', 'maap_app')");
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        Assert.Equal((false, true), (reader.GetBoolean(0), reader.GetBoolean(1)));
        string stored = (string)(await database.ScalarAsync("SELECT rolpassword FROM pg_authid WHERE rolname = 'maap_app'"))!;
        Assert.StartsWith("SCRAM-SHA-256$4096:", stored);
    }

    [Fact]
    public async Task User_ThatIsUnsafe_IsTold()
    {
        TestPostgres server = await ServerAsync();
        await using TestDatabase database = await server.NewDatabaseAsync();
        await database.ScalarAsync("CREATE ROLE exempt_role BYPASSRLS; CREATE ROLE exempt_member LOGIN PASSWORD 'member-password'; GRANT exempt_role TO exempt_member");
        Assert.Contains("superuser", await WhyAsync(database.SuperUrl));
        Assert.Contains("may become 'exempt_role'", await WhyAsync(server.Url("postgres", "exempt_member", "member-password")));
        Assert.Null(await WhyAsync(database.AppUrl));
        Assert.Null(await WhyAsync(database.OwnerUrl));
    }

    [Fact]
    public async Task Schemas_ThatAnotherUserHasMigrated_BecomeTheOwners()
    {
        TestPostgres server = await ServerAsync();
        await using TestDatabase database = await server.NewEmptyDatabaseAsync();
        await using NpgsqlDataSource super = TestDatabase.Connect(database.SuperUrl);
        await PostgresMigrator.MigrateAsync(super, MigrationScripts.PostgresServices());
        await PostgresRoles.CreateAsync(super, null, null);
        Assert.Equal(0L, await database.ScalarAsync("""
            SELECT (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ('maap', 'host', 'tenant_service', 'orchestrator', 'analytics_service') AND c.relowner <> 'maap_owner'::regrole)
                + (SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'maap'::regnamespace AND p.proowner <> 'maap_owner'::regrole)
            """));
        // Its partitions can be made by the app, and its rows be written.
        await using NpgsqlDataSource app = TestDatabase.Connect(database.AppUrl);
        await using NpgsqlCommand command = app.CreateCommand("SELECT maap.ensure_partitions('analytics_service.usage', 5)");
        Assert.Equal(3, await command.ExecuteScalarAsync());
    }

    private static async Task<string?> WhyAsync(string url)
    {
        await using NpgsqlDataSource source = TestDatabase.Connect(url);
        return await PostgresRoles.WhyUnsafeAsync(source);
    }

    private static Task<TestPostgres> ServerAsync()
    {
        Assert.SkipWhen(TestPostgres.Missing is not null, TestPostgres.Missing ?? "");
        return TestPostgres.SharedAsync();
    }
}
