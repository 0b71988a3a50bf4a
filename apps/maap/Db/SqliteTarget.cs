using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Sqlite;
using MultiAgent.DataPlane;

namespace MultiAgent.Maap.Db;

/// <summary>The services' files in the data folder. Those that are not there yet are made by the services themselves.</summary>
internal sealed class SqliteTarget : Target
{
    private readonly DataOptions _options;

    public SqliteTarget(DataOptions options)
    {
        _options = options;
        // To make an empty folder here would hide that it is the wrong one.
        if (!Directory.Exists(options.Directory)) throw new StartupException($"There is no data folder at {Path.GetFullPath(options.Directory)}. Set MAAP_DATA_DIR to the platform's data folder, or DATABASE_URL.");
    }

    protected override IReadOnlyList<string> All => MigrationScripts.SqliteServices();

    public override Task<IReadOnlyList<string>> MigrateAsync(IReadOnlyList<string> services, CancellationToken stop)
    {
        var applied = new List<string>();
        foreach (string service in services)
        {
            using SqliteDatabase database = Open(service);
            if (File.Exists(database.Path)) applied.AddRange(SqliteMigrator.Migrate(database).Select(m => $"{service}/{m}"));
        }
        return Task.FromResult<IReadOnlyList<string>>(applied);
    }

    public override Task<IReadOnlyList<SchemaState>> CurrentAsync(IReadOnlyList<string> services, CancellationToken stop)
    {
        var states = new List<SchemaState>();
        foreach (string service in services)
        {
            using SqliteDatabase database = Open(service);
            string[] all = [.. MigrationScripts.Sqlite(service).Select(m => m.Name)];
            if (!File.Exists(database.Path)) continue;
            int version = (int)SqliteMigrator.Version(database);
            states.Add(new SchemaState(service, [.. all.Take(version)], [.. all.Skip(version)], null, null));
        }
        return Task.FromResult<IReadOnlyList<SchemaState>>(states);
    }

    public override Task<string?> RollbackAsync(string service, CancellationToken stop)
    {
        using SqliteDatabase database = Open(service);
        return Task.FromResult(File.Exists(database.Path) ? SqliteMigrator.Rollback(database) : null);
    }

    public override Task<IReadOnlyList<(string Role, string? Password)>> InitRolesAsync(CancellationToken stop) =>
        throw new StartupException("SQLite has no roles. Set DATABASE_ADMIN_URL to a superuser of PostgreSQL.");

    private SqliteDatabase Open(string service) => new(service, _options);
}
