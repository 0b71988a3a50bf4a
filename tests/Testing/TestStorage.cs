using System.Collections.Concurrent;

namespace MultiAgent.Testing;

/// <summary>
/// What hosts of tests keep their data in: SQLite in their folder, or with <c>MAAP_TEST_DATABASE=postgres</c> (or <c>pgbouncer</c>) a PostgreSQL
/// database that belongs to the folder, so that a host that is started again finds its data in both.
/// </summary>
public static class TestStorage
{
    private static readonly ConcurrentDictionary<string, Lazy<Task<TestDatabase>>> Databases = new();

    private static readonly string Kind = Environment.GetEnvironmentVariable("MAAP_TEST_DATABASE") ?? "";

    /// <summary>True when the services' data lies in PostgreSQL.</summary>
    public static bool IsPostgres => Kind is "postgres" or "pgbouncer";

    /// <summary>Settings for a host on this folder.</summary>
    public static async Task<Dictionary<string, string?>> SettingsAsync(string folder)
    {
        if (!IsPostgres) return [];
        TestDatabase database = await DatabaseAsync(folder);
        Dictionary<string, string?> settings = database.Settings;
        // Each host of a test run would otherwise take what the server has.
        settings["Data:MaxConnections"] = "12";
        if (Kind == "pgbouncer") settings["DATABASE_URL"] = (await TestPgBouncer.SharedAsync()).AppUrl(database);
        return settings;
    }

    /// <summary>The database that belongs to a folder.</summary>
    public static Task<TestDatabase> DatabaseAsync(string folder) =>
        Databases.GetOrAdd(folder, _ => new(async () => await (await TestPostgres.SharedAsync()).NewDatabaseAsync())).Value;
}
