using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Sqlite;

namespace MultiAgent.Data;

/// <summary>A database that a service asked for.</summary>
internal sealed record DatabaseRegistration(string Service, int PageSize, bool SqliteOnly);

/// <summary>The databases of this process: what the host migrates at the start and shows in its health.</summary>
public sealed class Databases
{
    private readonly DataOptions _options;
    private readonly IServiceProvider _services;
    private readonly HashSet<string> _inPostgres;

    /// <param name="services">Where the databases are registered.</param>
    /// <param name="options">Which kind it is.</param>
    public Databases(IServiceProvider services, IOptions<DataOptions> options)
    {
        _services = services;
        _options = options.Value;
        DatabaseRegistration[] all = [.. services.GetServices<DatabaseRegistration>()];
        _inPostgres = [.. all.Where(d => UsesPostgres && !d.SqliteOnly).Select(d => d.Service)];
        Sqlite = [.. all.Where(d => !_inPostgres.Contains(d.Service)).Select(d => services.GetRequiredKeyedService<SqliteDatabase>(d.Service))];
        Postgres = [.. _inPostgres.Select(s => services.GetRequiredKeyedService<PostgresDatabase>(s))];
    }

    /// <summary>True when the services' data lies in PostgreSQL.</summary>
    public bool UsesPostgres => _options.UsesPostgres;

    public IReadOnlyList<SqliteDatabase> Sqlite { get; }

    public IReadOnlyList<PostgresDatabase> Postgres { get; }

    public bool IsInPostgres(string service) => _inPostgres.Contains(service);

    /// <summary>Brings all of them to the newest schema, and makes sure that PostgreSQL's row-level security holds for this process.</summary>
    /// <param name="development">A superuser is let pass, on a developer's machine.</param>
    /// <exception cref="StartupException">A schema is newer, changed or lacking, the database does not answer, or its user could read every tenant's rows.</exception>
    public async Task PrepareAsync(bool development, CancellationToken cancellationToken = default)
    {
        foreach (SqliteDatabase database in Sqlite) SqliteMigrator.Migrate(database);
        if (Postgres.Count == 0) return;
        try
        {
            await MigrateAsync([.. Postgres.Select(d => d.Service)], cancellationToken);
            PostgresServer server = _services.GetRequiredService<PostgresServer>();
            await server.LookAsync(cancellationToken);
            if (!development && await PostgresRoles.WhyUnsafeAsync(server.Primary, cancellationToken) is { } why)
                throw new StartupException($"DATABASE_URL is not safe: {why}, so the tenants' rows would not be kept apart. Connect as {PostgresRoles.App} ('maap db init-roles' makes it), or set DOTNET_ENVIRONMENT=Development on a developer's machine.");
        }
        catch (Npgsql.NpgsqlException e)
        {
            throw new StartupException($"The database at DATABASE_URL cannot be used: {e.Message} {e.InnerException?.Message}", e);
        }
    }

    private async Task MigrateAsync(string[] services, CancellationToken cancellationToken)
    {
        await using Npgsql.NpgsqlDataSource source = PostgresServer.OpenAdmin(_options);
        if (_options.MigrateOnStart) await PostgresMigrator.MigrateAsync(source, services, cancellationToken);
        else if (await PostgresMigrator.PendingAsync(source, services, cancellationToken) is { Count: > 0 } pending)
            throw new StartupException($"The database lacks {pending.Count} migrations ({string.Join(", ", pending)}), and Data:MigrateOnStart is false. Run 'maap db migrate'.");
    }
}
