using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;
using MultiAgent.Data.Postgres;

namespace MultiAgent.Testing;

/// <summary>
/// Writes tenants and keys straight into the tenant service's database, so that a test can make what the API refuses to
/// make: keys that have expired already, scopes that no role has.
/// </summary>
public static class TenantRows
{
    public static string AddTenant(string dataFolder, string slug, int? requestsPerMinute = null, int? burst = null)
    {
        string id = Ids.New("ten", TimeProvider.System);
        Execute(dataFolder, "INSERT INTO tenants (id, slug, name, status, requests_per_minute, burst, created_at) VALUES ($id, $slug, $slug, 'Active', $rpm, $burst, $now)",
            ("$id", id), ("$slug", slug), ("$rpm", requestsPerMinute), ("$burst", burst), ("$now", TimeProvider.System.GetUtcNow()));
        return id;
    }

    /// <summary>Adds a key and returns its text.</summary>
    public static string AddKey(string dataFolder, string tenantId, string? scopes = null, DateTimeOffset? expiresAt = null, bool revoked = false, int? requestsPerMinute = null, int? burst = null)
    {
        string key = $"maap_test-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(20))}";
        DateTimeOffset now = TimeProvider.System.GetUtcNow();
        Execute(dataFolder, """
            INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes, requests_per_minute, burst, expires_at, revoked_at, created_at)
            VALUES ($id, $tenant, 'test', $prefix, $hash, $scopes, $rpm, $burst, $expires, $revoked, $now)
            """,
            ("$id", Ids.New("key", TimeProvider.System)), ("$tenant", tenantId), ("$prefix", key[..12]), ("$hash", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))),
            ("$scopes", scopes ?? string.Join(' ', ScopeNames.All)), ("$rpm", requestsPerMinute), ("$burst", burst), ("$expires", expiresAt), ("$revoked", revoked ? now : null), ("$now", now));
        return key;
    }

    /// <summary>The id of a tenant by its slug.</summary>
    public static string IdOf(string dataFolder, string slug)
    {
        using DbConnection connection = Open(dataFolder);
        using DbCommand command = Command(connection, "SELECT id FROM tenants WHERE slug = $slug", ("$slug", slug));
        return (string)command.ExecuteScalar()!;
    }

    private static void Execute(string dataFolder, string sql, params (string Name, object? Value)[] parameters)
    {
        using DbConnection connection = Open(dataFolder);
        using DbCommand command = Command(connection, sql, parameters);
        command.ExecuteNonQuery();
    }

    private static DbCommand Command(DbConnection connection, string sql, params (string Name, object? Value)[] parameters)
    {
        DbCommand command = connection.CreateCommand();
        bool sqlite = connection is SqliteConnection;
        command.CommandText = sqlite ? sql : sql.Replace('$', '@');
        foreach ((string name, object? value) in parameters)
        {
            DbParameter parameter = command.CreateParameter();
            parameter.ParameterName = sqlite ? name : name.Replace('$', '@');
            parameter.Value = value switch { null => DBNull.Value, DateTimeOffset time => sqlite ? time.ToUnixTimeMilliseconds() : time.UtcDateTime, _ => value };
            command.Parameters.Add(parameter);
        }
        return command;
    }

    private static DbConnection Open(string dataFolder)
    {
        if (TestStorage.IsPostgres)
        {
            // It is there: the platform has started on it.
            TestDatabase database = TestStorage.DatabaseAsync(dataFolder).GetAwaiter().GetResult();
            PostgresUrl.TryParse($"{database.SuperUrl}?Search Path=tenant_service&Pooling=false", out Npgsql.NpgsqlConnectionStringBuilder? settings, out _);
            var server = new Npgsql.NpgsqlConnection(settings!.ConnectionString);
            server.Open();
            return server;
        }
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(dataFolder, "tenant-service.db"), Mode = SqliteOpenMode.ReadWrite, Pooling = false, DefaultTimeout = 20 }.ToString());
        connection.Open();
        return connection;
    }
}
