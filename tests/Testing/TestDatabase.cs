using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Data.Migrations;
using MultiAgent.Data.Postgres;
using Npgsql;

namespace MultiAgent.Testing;

/// <summary>One database of a <see cref="TestPostgres"/>.</summary>
public sealed class TestDatabase(TestPostgres server, string name) : IAsyncDisposable
{
    private readonly List<PostgresServer> _servers = [];

    public string Name => name;

    public TestPostgres Server => server;

    /// <summary>As the services connect: without the right to see more than one tenant at a time.</summary>
    public string AppUrl => server.Url(name, PostgresRoles.App, TestPostgres.AppPassword);

    /// <summary>As migrations connect.</summary>
    public string OwnerUrl => server.Url(name, PostgresRoles.Owner, TestPostgres.OwnerPassword);

    public string SuperUrl => server.SuperUrl(name);

    /// <summary>What makes a host use this database.</summary>
    public Dictionary<string, string?> Settings => new() { ["DATABASE_URL"] = AppUrl, ["DATABASE_ADMIN_URL"] = OwnerUrl };

    /// <summary>The schema of a service, as the app's role.</summary>
    public PostgresDatabase Open(string service, Action<DataOptions>? configure = null)
    {
        var options = new DataOptions { DatabaseUrl = AppUrl, DatabaseAdminUrl = OwnerUrl };
        configure?.Invoke(options);
        var connections = new PostgresServer(Options.Create(options));
        _servers.Add(connections);
        return new PostgresDatabase(service, connections, options);
    }

    /// <summary>Plain connections, as one of the URLs above.</summary>
    public static NpgsqlDataSource Connect(string url) =>
        PostgresUrl.TryParse(url, out NpgsqlConnectionStringBuilder? settings, out string? problem) ? NpgsqlDataSource.Create(settings) : throw new ArgumentException(problem);

    /// <summary>Runs SQL as the superuser, whom no policy holds, and returns the first column of the first row.</summary>
    public async Task<object?> ScalarAsync(string sql, params object[] values)
    {
        await using NpgsqlDataSource source = Connect(SuperUrl);
        await using NpgsqlCommand command = source.CreateCommand(sql);
        foreach (object value in values) command.Parameters.Add(new NpgsqlParameter { Value = value });
        return await command.ExecuteScalarAsync();
    }

    /// <summary>Runs SQL that was written for SQLite, with parameters like <c>$name</c>, in a service's schema as the superuser.</summary>
    public async Task<object?> ExecuteAsync(string schema, string sql, params (string Name, string Value)[] parameters)
    {
        await using NpgsqlDataSource source = Connect($"{SuperUrl}?Search Path={schema}");
        await using NpgsqlCommand command = source.CreateCommand(sql.Replace('$', '@'));
        foreach ((string name, string value) in parameters) command.Parameters.AddWithValue(name.Replace('$', '@'), value);
        return await command.ExecuteScalarAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (PostgresServer connections in _servers) await connections.DisposeAsync();
        await server.ExecuteAsync("postgres", $"DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    }
}
