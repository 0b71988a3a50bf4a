using MultiAgent.Data.Sqlite;
using MultiAgent.DataPlane;

namespace MultiAgent.Data.Migrations;

/// <summary>
/// Brings a service's SQLite schema to the newest version. The version is SQLite's own <c>user_version</c>; each step and
/// its version are one transaction, so a crash leaves a step wholly applied or not at all.
/// </summary>
public static class SqliteMigrator
{
    /// <summary>Applies what is missing and returns the names of the steps applied.</summary>
    /// <exception cref="StartupException">The file is newer than this program.</exception>
    public static IReadOnlyList<string> Migrate(SqliteDatabase database)
    {
        IReadOnlyList<Migration> migrations = MigrationScripts.Sqlite(database.Service);
        using SqliteSession session = database.OpenSession();
        session.Execute("BEGIN IMMEDIATE");
        try
        {
            long version = Version(session);
            if (version > migrations.Count)
                throw new StartupException($"{database.Path} has schema version {version}, newer than the {migrations.Count} this program knows. Start the newer program, or restore a backup.");
            var applied = new List<string>();
            foreach (Migration migration in migrations.Skip((int)version))
            {
                session.Execute(migration.Up);
                session.Execute($"PRAGMA user_version = {migration.Number}");
                applied.Add(migration.Name);
            }
            session.Execute("COMMIT");
            return applied;
        }
        catch
        {
            session.Execute("ROLLBACK");
            throw;
        }
    }

    /// <summary>Takes the newest step back. Returns its name, or null when the schema is empty.</summary>
    public static string? Rollback(SqliteDatabase database)
    {
        IReadOnlyList<Migration> migrations = MigrationScripts.Sqlite(database.Service);
        using SqliteSession session = database.OpenSession();
        long version = Version(session);
        if (version == 0) return null;
        Migration migration = migrations[(int)version - 1];
        session.Execute($"BEGIN IMMEDIATE; {migration.Down}; PRAGMA user_version = {version - 1}; COMMIT");
        return migration.Name;
    }

    /// <summary>How many steps are applied.</summary>
    public static long Version(SqliteDatabase database)
    {
        using SqliteSession session = database.OpenSession();
        return Version(session);
    }

    private static long Version(SqliteSession session)
    {
        SqliteStatement statement = session.Prepare("PRAGMA user_version");
        statement.Step();
        long version = statement.Int64(0);
        statement.Reset();
        return version;
    }
}
