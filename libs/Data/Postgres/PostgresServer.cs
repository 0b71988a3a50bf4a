using Microsoft.Extensions.Options;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// The process's connections to PostgreSQL: one pool for the primary and one for the replica. Nothing here outlives a transaction on a
/// connection (no prepared statement, no session setting, no session lock), so a pooler in transaction mode may stand in between.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable, IDisposable
{
    private readonly Lazy<NpgsqlDataSource> _primary;
    private readonly Lazy<NpgsqlDataSource?> _replica;

    /// <param name="options">Addresses, and how many connections.</param>
    public PostgresServer(IOptions<DataOptions> options)
    {
        DataOptions data = options.Value;
        _primary = new(() => Open(data.DatabaseUrl ?? throw new InvalidOperationException("DATABASE_URL is not set."), data, TargetSessionAttributes.Primary));
        _replica = new(() => string.IsNullOrWhiteSpace(data.DatabaseReplicaUrl) ? null : Open(data.DatabaseReplicaUrl, data, TargetSessionAttributes.PreferStandby));
    }

    /// <summary>Connections to the primary.</summary>
    public NpgsqlDataSource Primary => _primary.Value;

    /// <summary>Connections to the replica; null where there is none.</summary>
    public NpgsqlDataSource? Replica => _replica.Value;

    /// <summary>Connections of another role, for migrations; the caller disposes of them.</summary>
    public static NpgsqlDataSource OpenAdmin(DataOptions options) =>
        Open(string.IsNullOrWhiteSpace(options.DatabaseAdminUrl) ? options.DatabaseUrl ?? throw new StartupException("DATABASE_URL is not set.") : options.DatabaseAdminUrl, options, TargetSessionAttributes.Primary);

    public void Dispose()
    {
        if (_primary.IsValueCreated) _primary.Value.Dispose();
        if (_replica.IsValueCreated) _replica.Value?.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        if (_primary.IsValueCreated) await _primary.Value.DisposeAsync();
        if (_replica is { IsValueCreated: true, Value: { } replica }) await replica.DisposeAsync();
    }

    private static NpgsqlDataSource Open(string url, DataOptions data, TargetSessionAttributes target)
    {
        if (!PostgresUrl.TryParse(url, out NpgsqlConnectionStringBuilder? settings, out string? problem)) throw new StartupException($"The address of the database {problem}");
        if (!settings.ShouldSerialize("Application Name")) settings.ApplicationName = "maap";
        if (!settings.ShouldSerialize("Maximum Pool Size")) settings.MaxPoolSize = data.MaxConnections;
        if (!settings.ShouldSerialize("Timeout")) settings.Timeout = 5;
        if (!settings.ShouldSerialize("Command Timeout")) settings.CommandTimeout = data.StatementTimeoutSeconds;
        // What a statement leaves on its connection ends with its transaction: there is nothing to reset, and a pooler's connection is not ours to reset.
        settings.NoResetOnClose = true;
        settings.Enlist = false;
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        if (!settings.Host!.Contains(',', StringComparison.Ordinal)) return builder.Build();
        return builder.BuildMultiHost().WithTargetSession(settings.TargetSessionAttributes is { Length: > 0 } said ? Enum.Parse<TargetSessionAttributes>(said.Replace("-", "", StringComparison.Ordinal), ignoreCase: true) : target);
    }
}
