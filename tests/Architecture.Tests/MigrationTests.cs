using Microsoft.Data.Sqlite;
using MultiAgent.DataPlane;

namespace MultiAgent.Architecture.Tests;

/// <summary>Each migration can be taken back, and then applied again.</summary>
public sealed class MigrationTests
{
    public static TheoryData<string> Services => [.. MigrationScripts.SqliteServices()];

    [Theory]
    [MemberData(nameof(Services))]
    public void Migrations_UpDownAndUp_ReachTheSameSchemas(string service)
    {
        using var connection = new SqliteConnection("Data Source=:memory:");
        connection.Open();
        IReadOnlyList<Migration> migrations = MigrationScripts.Sqlite(service);
        var before = new Stack<string>();

        Assert.NotEmpty(migrations);
        foreach (Migration migration in migrations)
        {
            before.Push(Schema(connection));
            Execute(connection, migration.Up);
        }
        string newest = Schema(connection);
        foreach (Migration migration in migrations.Reverse())
        {
            Execute(connection, migration.Down);
            Assert.Equal(before.Pop(), Schema(connection));
        }
        Assert.Equal("", Schema(connection));
        foreach (Migration migration in migrations) Execute(connection, migration.Up);
        Assert.Equal(newest, Schema(connection));
    }

    [Theory]
    [MemberData(nameof(Services))]
    public void Migration_OnTablesWithRows_KeepsThem(string service)
    {
        // The first step makes the tables; a later one must not be refused by the rows that it finds.
        using var connection = new SqliteConnection("Data Source=:memory:;Foreign Keys=False");
        connection.Open();
        IReadOnlyList<Migration> migrations = MigrationScripts.Sqlite(service);
        Execute(connection, migrations[0].Up);
        string[] tables = Query(connection, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'");
        foreach (string table in tables) Execute(connection, $"INSERT INTO {table} ({string.Join(", ", Columns(connection, table))}) VALUES ({string.Join(", ", Columns(connection, table).Select(_ => "1"))})");

        foreach (Migration migration in migrations.Skip(1)) Execute(connection, migration.Up);

        string[] left = Query(connection, "SELECT name FROM sqlite_master WHERE type = 'table'");
        Assert.All(tables.Intersect(left), table => Assert.Equal(["1"], Query(connection, $"SELECT count(*) FROM {table}")));
    }

    // Tables by columns and not by their SQL: a column that is dropped and added again is at another place.
    private static string Schema(SqliteConnection connection) => string.Join('\n', Query(connection, """
        SELECT m.type || ' ' || m.name || ' ' || m.tbl_name || ' ' || coalesce((SELECT group_concat(line, ', ') FROM
            (SELECT c.name || ' ' || c.type || ' ' || c."notnull" || ' ' || coalesce(c.dflt_value, '') || ' ' || c.pk AS line FROM pragma_table_info(m.name) c ORDER BY c.name)), '')
        FROM sqlite_master m WHERE m.name NOT LIKE 'sqlite_%' ORDER BY 1
        """));

    private static string[] Columns(SqliteConnection connection, string table) => Query(connection, $"SELECT name FROM pragma_table_info('{table}')");

    private static string[] Query(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        using SqliteDataReader reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read()) rows.Add(reader.GetString(0));
        return [.. rows];
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
