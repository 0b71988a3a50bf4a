using System.Security.Cryptography;
using System.Text;
using MultiAgent.Data.Postgres;
using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Data.Migrations;

/// <summary>A migration that is in the database.</summary>
public sealed record AppliedMigration(string Service, int Number, string Name, string Checksum, DateTimeOffset AppliedAt, string AppliedBy);

/// <summary>
/// Brings services' schemas in PostgreSQL to the newest version. All of it is one transaction under one lock: of several replicas that start at once the
/// first migrates, the others wait and find it done; a failure leaves everything as it was. What is applied is kept in <c>maap.migrations</c> with its
/// checksum. A database that is newer than this program is left alone: migrations only add, so that an old replica goes on serving while new ones start.
/// </summary>
public static class PostgresMigrator
{
    // Any number will do that nobody else takes; a pooler in transaction mode respects locks of transactions alone.
    private const string Lock = "SELECT pg_advisory_xact_lock(5138437101)";

    // Behind a long query a change of a table would wait, and everybody behind the change: rather fail, and try again later.
    private const string Patience = "SET LOCAL lock_timeout = '15s'";

    private const string Bootstrap = """
        CREATE SCHEMA IF NOT EXISTS maap;
        CREATE TABLE IF NOT EXISTS maap.migrations (
            service    text NOT NULL,
            number     integer NOT NULL,
            name       text NOT NULL,
            checksum   text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT now(),
            applied_by text NOT NULL DEFAULT current_user,
            PRIMARY KEY (service, number)
        );
        """;

    /// <summary>Applies what the services lack, what they share first, and returns the names of the steps as <c>service/name</c>.</summary>
    /// <exception cref="StartupException">A migration was changed after it was applied, or cannot be applied.</exception>
    public static async Task<IReadOnlyList<string>> MigrateAsync(NpgsqlDataSource source, IReadOnlyCollection<string> services, CancellationToken cancellationToken = default)
    {
        // Usually there is nothing to do, and the role need not even be able to.
        if (await PendingAsync(source, services, cancellationToken) is { Count: 0 }) return [];
        await using NpgsqlConnection connection = await source.OpenConnectionAsync(cancellationToken);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        string at = "the schema maap";
        try
        {
            await ExecuteAsync(connection, Lock, cancellationToken);
            await ExecuteAsync(connection, Patience, cancellationToken);
            await ExecuteAsync(connection, Bootstrap, cancellationToken);
            var applied = new List<string>();
            foreach ((string service, Migration migration) in Missing(await ReadAsync(connection, cancellationToken), services))
            {
                at = $"{service}/{migration.Name}";
                await ExecuteAsync(connection, migration.Up, cancellationToken);
                await using var record = new NpgsqlCommand("INSERT INTO maap.migrations (service, number, name, checksum) VALUES ($1, $2, $3, $4)", connection)
                {
                    Parameters = { new() { Value = service }, new() { Value = migration.Number }, new() { Value = migration.Name }, new() { Value = ChecksumOf(migration) } },
                };
                await record.ExecuteNonQueryAsync(cancellationToken);
                applied.Add(at);
            }
            await PostgresRoles.GrantAsync(connection, WithShared(services), cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            return applied;
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.InsufficientPrivilege)
        {
            throw new StartupException($"The database lacks migrations, and its user may not apply them ({e.MessageText}). Run 'maap db migrate' with DATABASE_ADMIN_URL, or set that variable here too.", e);
        }
        catch (PostgresException e)
        {
            throw new StartupException($"Migration {at} failed, and nothing was changed: {e.SqlState} {e.MessageText}", e);
        }
    }

    /// <summary>What is in the database, oldest first; empty where there is nothing yet.</summary>
    public static async Task<IReadOnlyList<AppliedMigration>> CurrentAsync(NpgsqlDataSource source, CancellationToken cancellationToken = default)
    {
        await using NpgsqlConnection connection = await source.OpenConnectionAsync(cancellationToken);
        return await ReadAsync(connection, cancellationToken);
    }

    /// <summary>Names of the steps that the services lack.</summary>
    /// <exception cref="StartupException">A migration was changed after it was applied.</exception>
    public static async Task<IReadOnlyList<string>> PendingAsync(NpgsqlDataSource source, IReadOnlyCollection<string> services, CancellationToken cancellationToken = default) =>
        [.. Missing(await CurrentAsync(source, cancellationToken), services).Select(m => $"{m.Service}/{m.Migration.Name}")];

    /// <summary>Takes the newest step of a service back, with the data that it holds. Returns its name, or null when nothing is applied.</summary>
    /// <exception cref="StartupException">The step is not known to this program, or others rest on it.</exception>
    public static async Task<string?> RollbackAsync(NpgsqlDataSource source, string service, CancellationToken cancellationToken = default)
    {
        await using NpgsqlConnection connection = await source.OpenConnectionAsync(cancellationToken);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, Lock, cancellationToken);
        await ExecuteAsync(connection, Patience, cancellationToken);
        IReadOnlyList<AppliedMigration> all = await ReadAsync(connection, cancellationToken);
        if (all.LastOrDefault(m => m.Service == service) is not { } newest) return null;
        if (service == MigrationScripts.SharedSchema && all.Any(m => m.Service != service))
            throw new StartupException($"The schemas of services rest on maap/{newest.Name}. Roll those back first.");
        if (MigrationScripts.Postgres(service).FirstOrDefault(m => m.Number == newest.Number) is not { } migration)
            throw new StartupException($"{service}/{newest.Name} was applied by a newer program; roll it back with that one.");
        try
        {
            await ExecuteAsync(connection, migration.Down, cancellationToken);
        }
        catch (PostgresException e)
        {
            throw new StartupException($"{service}/{migration.Name} cannot be taken back, and nothing was changed: {e.SqlState} {e.MessageText}", e);
        }
        await using var forget = new NpgsqlCommand("DELETE FROM maap.migrations WHERE service = $1 AND number = $2", connection) { Parameters = { new() { Value = service }, new() { Value = newest.Number } } };
        await forget.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return migration.Name;
    }

    internal static IReadOnlyList<string> WithShared(IEnumerable<string> services) => [.. services.Where(s => s != MigrationScripts.SharedSchema).Distinct().Prepend(MigrationScripts.SharedSchema)];

    private static List<(string Service, Migration Migration)> Missing(IReadOnlyList<AppliedMigration> applied, IReadOnlyCollection<string> services)
    {
        Dictionary<(string, int), AppliedMigration> known = applied.ToDictionary(a => (a.Service, a.Number));
        var missing = new List<(string, Migration)>();
        foreach (string service in WithShared(services))
        {
            foreach (Migration migration in MigrationScripts.Postgres(service))
            {
                if (!known.TryGetValue((service, migration.Number), out AppliedMigration? there)) missing.Add((service, migration));
                else if (there.Checksum != ChecksumOf(migration))
                    throw new StartupException($"Migration {service}/{migration.Name} is not what was applied to this database on {there.AppliedAt:u} as {there.Name}. A migration that was released is never changed: add a new one.");
            }
        }
        return missing;
    }

    private static string ChecksumOf(Migration migration) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(migration.Up)));

    private static async Task<IReadOnlyList<AppliedMigration>> ReadAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using (var exists = new NpgsqlCommand("SELECT to_regclass('maap.migrations') IS NOT NULL", connection))
            if (await exists.ExecuteScalarAsync(cancellationToken) is not true) return [];
        await using var command = new NpgsqlCommand("SELECT service, number, name, checksum, applied_at, applied_by FROM maap.migrations ORDER BY applied_at, service, number", connection);
        await using NpgsqlDataReader reader = await command.ExecuteReaderAsync(cancellationToken);
        var applied = new List<AppliedMigration>();
        while (await reader.ReadAsync(cancellationToken))
            applied.Add(new AppliedMigration(reader.Text(0), reader.Int32(1), reader.Text(2), reader.Text(3), reader.Time(4), reader.Text(5)));
        return applied;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        // A large table takes its time.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
