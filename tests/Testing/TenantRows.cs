using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Identity;

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
            ("$id", id), ("$slug", slug), ("$rpm", requestsPerMinute), ("$burst", burst), ("$now", TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()));
        return id;
    }

    /// <summary>Adds a key and returns its text.</summary>
    public static string AddKey(string dataFolder, string tenantId, string? scopes = null, DateTimeOffset? expiresAt = null, bool revoked = false, int? requestsPerMinute = null, int? burst = null)
    {
        string key = $"maap_test-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(20))}";
        long now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        Execute(dataFolder, """
            INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes, requests_per_minute, burst, expires_at, revoked_at, created_at)
            VALUES ($id, $tenant, 'test', $prefix, $hash, $scopes, $rpm, $burst, $expires, $revoked, $now)
            """,
            ("$id", Ids.New("key", TimeProvider.System)), ("$tenant", tenantId), ("$prefix", key[..12]), ("$hash", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))),
            ("$scopes", scopes ?? string.Join(' ', ScopeNames.All)), ("$rpm", requestsPerMinute), ("$burst", burst), ("$expires", expiresAt?.ToUnixTimeMilliseconds()), ("$revoked", revoked ? now : null), ("$now", now));
        return key;
    }

    /// <summary>The id of a tenant by its slug.</summary>
    public static string IdOf(string dataFolder, string slug)
    {
        using SqliteConnection connection = Open(dataFolder);
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = "SELECT id FROM tenants WHERE slug = $slug";
        command.Parameters.AddWithValue("$slug", slug);
        return (string)command.ExecuteScalar()!;
    }

    private static void Execute(string dataFolder, string sql, params (string Name, object? Value)[] parameters)
    {
        using SqliteConnection connection = Open(dataFolder);
        using SqliteCommand command = connection.CreateCommand();
        command.CommandText = sql;
        foreach ((string name, object? value) in parameters) command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        command.ExecuteNonQuery();
    }

    private static SqliteConnection Open(string dataFolder)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(dataFolder, "tenant-service.db"), Mode = SqliteOpenMode.ReadWrite, Pooling = false, DefaultTimeout = 20 }.ToString());
        connection.Open();
        return connection;
    }
}
