using System.Buffers.Text;
using System.Security.Cryptography;
using Microsoft.Extensions.Configuration;
using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Postgres;
using MultiAgent.DataPlane;
using Npgsql;

namespace MultiAgent.Maap.Db;

/// <summary>All services' schemas in one database of PostgreSQL.</summary>
internal sealed class PostgresTarget(DataOptions options, IConfiguration configuration) : Target
{
    protected override IReadOnlyList<string> All => MigrationScripts.PostgresServices();

    public override async Task<IReadOnlyList<string>> MigrateAsync(IReadOnlyList<string> services, CancellationToken stop)
    {
        await using NpgsqlDataSource source = PostgresServer.OpenAdmin(options);
        return await PostgresMigrator.MigrateAsync(source, services, stop);
    }

    public override async Task<IReadOnlyList<SchemaState>> CurrentAsync(IReadOnlyList<string> services, CancellationToken stop)
    {
        await using NpgsqlDataSource source = PostgresServer.OpenAdmin(options);
        IReadOnlyList<AppliedMigration> applied = await PostgresMigrator.CurrentAsync(source, stop);
        ILookup<string, AppliedMigration> by = applied.ToLookup(a => a.Service);
        return [.. services.Select(s => new SchemaState(s, [.. by[s].Select(a => a.Name)], [.. MigrationScripts.Postgres(s).Where(m => by[s].All(a => a.Number != m.Number)).Select(m => m.Name)],
            by[s].LastOrDefault()?.AppliedAt, by[s].LastOrDefault()?.AppliedBy))];
    }

    public override async Task<string?> RollbackAsync(string service, CancellationToken stop)
    {
        await using NpgsqlDataSource source = PostgresServer.OpenAdmin(options);
        return await PostgresMigrator.RollbackAsync(source, service, stop);
    }

    public override async Task<IReadOnlyList<(string Role, string? Password)>> InitRolesAsync(CancellationToken stop)
    {
        await using NpgsqlDataSource source = PostgresServer.OpenAdmin(options);
        IReadOnlySet<string> there = await PostgresRoles.ExistingAsync(source, stop);
        (string? owner, bool madeOwner) = Password(there, PostgresRoles.Owner, configuration["MAAP_OWNER_PASSWORD"]);
        (string? app, bool madeApp) = Password(there, PostgresRoles.App, configuration["MAAP_APP_PASSWORD"]);
        await PostgresRoles.CreateAsync(source, owner, app, stop);
        return [(PostgresRoles.Owner, madeOwner ? owner : null), (PostgresRoles.App, madeApp ? app : null)];
    }

    private static (string? Password, bool Made) Password(IReadOnlySet<string> there, string role, string? given)
    {
        if (given is { Length: > 0 and < 12 }) throw new StartupException($"The password for {role} has {given.Length} characters; use at least 12, or leave it out to get a random one.");
        if (!string.IsNullOrEmpty(given)) return (given, false);
        // Fit for a URL as it is.
        return there.Contains(role) ? (null, false) : (Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(24)), true);
    }
}
