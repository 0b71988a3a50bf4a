using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Data.Migrations;

/// <summary>
/// The two roles of an installation. <see cref="Owner"/> owns the schemas and migrates; <see cref="App"/> is what the services connect as: it reads and
/// writes rows as far as its tables need, changes no schema, and cannot bypass row-level security.
/// </summary>
public static class PostgresRoles
{
    public const string Owner = "maap_owner";

    public const string App = "maap_app";

    /// <summary>
    /// Makes the two roles, or gives those that are there their rights and passwords anew, and makes <see cref="Owner"/> the owner of the installation's schemas
    /// in this database. Needs a superuser, or a user with CREATEROLE who owns the database.
    /// </summary>
    /// <param name="source">Connections as that user.</param>
    /// <param name="ownerPassword">Null: stays as it is.</param>
    /// <param name="appPassword">Null: stays as it is.</param>
    public static async Task CreateAsync(NpgsqlDataSource source, string? ownerPassword, string? appPassword, CancellationToken cancellationToken = default)
    {
        await using NpgsqlConnection connection = await source.OpenConnectionAsync(cancellationToken);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        foreach ((string role, string? password) in ((string, string?)[])[(Owner, ownerPassword), (App, appPassword)])
        {
            // The server's log gets a verifier to see, never the password.
            string secret = password is null ? "" : $" PASSWORD '{ScramVerifier.Of(password)}'";
            await ExecuteAsync(connection, $"""
                DO $$ BEGIN
                    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role}; END IF;
                END $$;
                ALTER ROLE {role} LOGIN NOCREATEDB NOCREATEROLE{secret};
                """, cancellationToken);
        }
        await ExecuteAsync(connection, $"""
            DO $$
            DECLARE item record;
            BEGIN
                -- Only a superuser may say it of others, and a new role is none of it.
                IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname IN ('{Owner}', '{App}') AND (rolsuper OR rolbypassrls OR rolreplication)) THEN
                    ALTER ROLE {Owner} NOSUPERUSER NOBYPASSRLS NOREPLICATION;
                    ALTER ROLE {App} NOSUPERUSER NOBYPASSRLS NOREPLICATION;
                END IF;
                EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
                EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO {Owner}', current_database());
                -- Temporary tables take what is copied in.
                EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO {App}', current_database());
                -- What another user has migrated becomes the owner's.
                FOR item IN SELECT n.nspname FROM pg_namespace n WHERE n.nspname IN ({Schemas}) AND n.nspowner <> '{Owner}'::regrole LOOP
                    EXECUTE format('ALTER SCHEMA %I OWNER TO {Owner}', item.nspname);
                END LOOP;
                FOR item IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname IN ({Schemas}) AND c.relkind IN ('r', 'p') AND c.relowner <> '{Owner}'::regrole LOOP
                    EXECUTE format('ALTER TABLE %s OWNER TO {Owner}', item.name);
                END LOOP;
                FOR item IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
                    WHERE n.nspname IN ({Schemas}) AND p.proowner <> '{Owner}'::regrole LOOP
                    EXECUTE format('ALTER FUNCTION %s OWNER TO {Owner}', item.name);
                END LOOP;
            END $$;
            """, cancellationToken);
        IReadOnlyList<string> there = await MigratedAsync(connection, cancellationToken);
        await GrantAsync(connection, there, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>
    /// Gives the app's role what <c>grants.sql</c> of the services say, and nothing else; without effect where there is no such role, as when one user
    /// owns everything.
    /// </summary>
    internal static async Task GrantAsync(NpgsqlConnection connection, IEnumerable<string> services, CancellationToken cancellationToken)
    {
        await using (var exists = new NpgsqlCommand("SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", connection) { Parameters = { new() { Value = App } } })
            if (await exists.ExecuteScalarAsync(cancellationToken) is not true) return;
        foreach (string service in services)
        {
            string schema = Postgres.PostgresDatabase.SchemaOf(service);
            await using var grant = new NpgsqlCommand($"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {App};\n{MigrationScripts.PostgresGrants(service)}", connection);
            await grant.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    /// <summary>Which of the two roles are there.</summary>
    public static async Task<IReadOnlySet<string>> ExistingAsync(NpgsqlDataSource source, CancellationToken cancellationToken = default)
    {
        await using NpgsqlCommand command = source.CreateCommand($"SELECT rolname FROM pg_roles WHERE rolname IN ('{Owner}', '{App}')");
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var roles = new HashSet<string>();
        while (await reader.ReadAsync(cancellationToken)) roles.Add(reader.GetString(0));
        return roles;
    }

    private static string Schemas => string.Join(", ", MigrationScripts.PostgresServices().Select(s => $"'{Postgres.PostgresDatabase.SchemaOf(s)}'"));

    private static async Task<IReadOnlyList<string>> MigratedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using (var exists = new NpgsqlCommand("SELECT to_regclass('maap.migrations') IS NOT NULL", connection))
            if (await exists.ExecuteScalarAsync(cancellationToken) is not true) return [];
        await using var command = new NpgsqlCommand("SELECT DISTINCT service FROM maap.migrations", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var services = new List<string>();
        while (await reader.ReadAsync(cancellationToken)) services.Add(reader.GetString(0));
        return services;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Why the services must not run as the user of these connections; null when they may.</summary>
    public static async Task<string?> WhyUnsafeAsync(NpgsqlDataSource source, CancellationToken cancellationToken = default)
    {
        await using NpgsqlCommand command = source.CreateCommand("""
            SELECT current_user, r.rolname, r.rolsuper FROM pg_roles r
            WHERE (r.rolsuper OR r.rolbypassrls) AND pg_has_role(current_user, r.oid, 'MEMBER') ORDER BY r.rolname <> current_user LIMIT 1
            """);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        if (!await reader.ReadAsync(cancellationToken)) return null;
        string user = reader.GetString(0), role = reader.GetString(1), kind = reader.GetBoolean(2) ? "a superuser" : "exempt from row-level security";
        return user == role ? $"the user '{user}' is {kind}" : $"the user '{user}' may become '{role}', which is {kind}";
    }
}
