using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using MultiAgent.Data.Tenancy;
using MultiAgent.DataPlane;

namespace MultiAgent.Architecture.Tests;

/// <summary>Whatever reads or writes rows of tenants says whose.</summary>
public sealed partial class TenantFilterTests
{
    private const string AllTenants = "/* all tenants */";

    private static readonly HashSet<string> TenantTables = [.. MigrationScripts.SqliteServices().SelectMany(TablesWithTenant)];

    public static TheoryData<Type> Contexts => [.. Sources.Assemblies.SelectMany(a => a.GetTypes()).Where(t => !t.IsAbstract && typeof(ServiceDbContext).IsAssignableFrom(t))];

    [Fact]
    public void TenantTables_OfTheMigrations_AreFound() => Assert.Superset(new HashSet<string> { "users", "api_keys", "agents", "runs", "messages", "usage", "journeys" }, TenantTables);

    [Theory]
    [MemberData(nameof(Contexts))]
    public void Entities_OnTablesOfTenants_AreScopedAndFiltered(Type context)
    {
        using DbContext instance = Open(context);
        IEntityType[] entities = [.. instance.Model.GetEntityTypes()];

        Assert.NotEmpty(entities);
        foreach (IEntityType entity in entities.Where(e => TenantTables.Contains(e.GetTableName()!)))
        {
            Assert.True(typeof(ITenantScoped).IsAssignableFrom(entity.ClrType), $"{entity.ClrType.Name} lies on a table with tenant_id and is not tenant-scoped.");
            Assert.True(entity.GetDeclaredQueryFilters().Any(), $"{entity.ClrType.Name} has no query filter.");
        }
        Assert.All(entities.Where(e => typeof(ITenantScoped).IsAssignableFrom(e.ClrType)), e => Assert.Contains(e.GetTableName()!, TenantTables));
    }

    [Fact]
    public void Sql_OnTablesOfTenants_NamesTheTenantOrSaysThatItMeansAll()
    {
        var offenders = new List<string>();
        int seen = 0;
        foreach ((string path, string source) in Sources.Files)
        {
            (string Code, string Strings)[] statements = [.. Sources.Statements(source)];
            // A constant that is a part of statements counts where it is used.
            Dictionary<string, string> constants = [];
            foreach ((string code, string strings) in statements)
                if (ConstantIn().Match(code) is { Success: true } constant) constants[constant.Groups[1].Value] = strings;
            foreach ((string code, string strings) in statements)
            {
                if (ConstantIn().IsMatch(code)) continue;
                string sql = strings;
                foreach ((string name, string value) in constants)
                    if (Regex.IsMatch(code + strings, $@"\b{name}\b")) sql = $"{value} {sql}";
                foreach (string statement in sql.Split(';'))
                {
                    if (!Verb().IsMatch(statement)) continue;
                    if (!Table().Matches(statement).Any(m => TenantTables.Contains(m.Groups[1].Value))) continue;
                    seen++;
                    // A list of columns that is made from a table of names has the tenant's among them.
                    if (ComputedColumns().IsMatch(statement) && source.Contains("\"tenant_id\"", StringComparison.Ordinal)) continue;
                    if (!statement.Contains("tenant_id", StringComparison.Ordinal) && !statement.Contains(AllTenants, StringComparison.Ordinal))
                        offenders.Add($"{path}: {Spaces().Replace(statement, " ").Trim()}");
                }
            }
        }

        Assert.True(seen > 30, $"Only {seen} statements were found: the scanner is broken.");
        Assert.True(offenders.Count == 0, $"{offenders.Count} statements without tenant_id or {AllTenants}:\n{string.Join('\n', offenders)}");
    }

    [Fact]
    public void Settings_OfRowLevelSecurity_AreMadeInOnePlace()
    {
        string[] files = [.. Sources.Files.Where(f => Sources.Statements(f.Value).Any(s => s.Strings.Contains("app.system", StringComparison.Ordinal) || s.Strings.Contains("app.tenant_id", StringComparison.Ordinal) || s.Strings.Contains("SET ROLE", StringComparison.OrdinalIgnoreCase))).Select(f => f.Key)];

        Assert.Equal(["libs/Data/Postgres/RowScope.cs"], files);
    }

    private static DbContext Open(Type context)
    {
        var builder = (DbContextOptionsBuilder)Activator.CreateInstance(typeof(DbContextOptionsBuilder<>).MakeGenericType(context))!;
        builder.UseSqlite("Data Source=:memory:");
        return (DbContext)Activator.CreateInstance(context, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic, null, [builder.Options, TenantScope.Of("ten_test")], null)!;
    }

    private static IEnumerable<string> TablesWithTenant(string service)
    {
        using var connection = new SqliteConnection("Data Source=:memory:");
        connection.Open();
        foreach (Migration migration in MigrationScripts.Sqlite(service)) Execute(connection, migration.Up);
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT m.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'tenant_id'";
        using SqliteDataReader reader = command.ExecuteReader();
        var tables = new List<string>();
        while (reader.Read()) tables.Add(reader.GetString(0));
        return tables;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    [GeneratedRegex(@"\bconst string (\w+)")]
    private static partial Regex ConstantIn();

    [GeneratedRegex(@"\b(SELECT|INSERT|UPDATE|DELETE)\b")]
    private static partial Regex Verb();

    [GeneratedRegex(@"\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:(?:[a-z_]+|\{[A-Za-z_.]+\})\.)?([a-z_]+)")]
    private static partial Regex Table();

    [GeneratedRegex(@"\bINSERT\b[^(]*\(\s*\{")]
    private static partial Regex ComputedColumns();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
