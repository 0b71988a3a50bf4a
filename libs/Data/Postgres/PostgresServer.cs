using Microsoft.Extensions.Options;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// The process's connections to PostgreSQL: one pool for the primary and one for the replica. Nothing that a transaction relies on outlives it on a
/// connection (no session setting, no session lock), so a pooler in transaction mode may stand in between. Statements that come again are prepared, which saves
/// most of their cost; behind a pooler, which may give each transaction another connection, they are not.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable, IDisposable
{
    // About as many as a service has; each holds memory of the server for each connection.
    private const int MaxPrepared = 150;

    private readonly DataOptions _options;
    private readonly Lazy<NpgsqlDataSource> _primary;
    private readonly Lazy<NpgsqlDataSource?> _replica;
    private bool _isDirect;
    private bool _isReplicaDirect;

    /// <param name="options">Addresses, and how many connections.</param>
    public PostgresServer(IOptions<DataOptions> options)
    {
        _options = options.Value;
        _primary = new(() => Open(_options.DatabaseUrl ?? throw new InvalidOperationException("DATABASE_URL is not set."), _options, TargetSessionAttributes.Primary, Prepares));
        _replica = new(() => HasReplica ? Open(_options.DatabaseReplicaUrl!, _options, TargetSessionAttributes.PreferStandby, MayPrepare(_isReplicaDirect)) : null);
    }

    /// <summary>Connections to the primary.</summary>
    public NpgsqlDataSource Primary => _primary.Value;

    /// <summary>Connections to the replica; null where there is none.</summary>
    public NpgsqlDataSource? Replica => _replica.Value;

    public bool HasReplica => !string.IsNullOrWhiteSpace(_options.DatabaseReplicaUrl);

    /// <summary>Statements to the primary are prepared.</summary>
    public bool Prepares => MayPrepare(_isDirect);

    /// <summary>Finds out whether the server itself answers or a pooler; before the first connection, without which no statement is prepared.</summary>
    /// <exception cref="NpgsqlException">The primary does not answer.</exception>
    public async Task LookAsync(CancellationToken cancellationToken = default)
    {
        if (_options.PreparedStatements != PreparedStatements.Auto) return;
        if (_primary.IsValueCreated) throw new InvalidOperationException("The database was used before it was looked at.");
        _isDirect = await IsDirectAsync(_options.DatabaseUrl!, TargetSessionAttributes.Primary, cancellationToken);
        if (!HasReplica) return;
        try
        {
            _isReplicaDirect = await IsDirectAsync(_options.DatabaseReplicaUrl!, TargetSessionAttributes.PreferStandby, cancellationToken);
        }
        catch (NpgsqlException)
        {
            // It is done without where it is away, and may be slower when it is back.
        }
    }

    /// <summary>Connections of another role, for migrations; the caller disposes of them.</summary>
    public static NpgsqlDataSource OpenAdmin(DataOptions options) =>
        Open(string.IsNullOrWhiteSpace(options.DatabaseAdminUrl) ? options.DatabaseUrl ?? throw new StartupException("DATABASE_URL is not set.") : options.DatabaseAdminUrl, options, TargetSessionAttributes.Primary, prepares: false);

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

    private bool MayPrepare(bool isDirect) => _options.PreparedStatements == PreparedStatements.On || (_options.PreparedStatements == PreparedStatements.Auto && isDirect);

    // A pooler tells a number of its own for the process that serves the connection.
    private async Task<bool> IsDirectAsync(string url, TargetSessionAttributes target, CancellationToken cancellationToken)
    {
        await using NpgsqlDataSource source = Open(url, _options, target, prepares: false);
        await using NpgsqlConnection connection = await source.OpenConnectionAsync(cancellationToken);
        await using var command = new NpgsqlCommand("SELECT pg_backend_pid()", connection);
        return await command.ExecuteScalarAsync(cancellationToken) is int pid && pid == connection.ProcessID;
    }

    private static NpgsqlDataSource Open(string url, DataOptions data, TargetSessionAttributes target, bool prepares)
    {
        if (!PostgresUrl.TryParse(url, out NpgsqlConnectionStringBuilder? settings, out string? problem)) throw new StartupException($"The address of the database {problem}");
        if (!settings.ShouldSerialize("Application Name")) settings.ApplicationName = "maap";
        if (!settings.ShouldSerialize("Maximum Pool Size")) settings.MaxPoolSize = data.MaxConnections;
        if (!settings.ShouldSerialize("Timeout")) settings.Timeout = 5;
        if (!settings.ShouldSerialize("Command Timeout")) settings.CommandTimeout = data.StatementTimeoutSeconds;
        // What a statement leaves on its connection ends with its transaction: there is nothing to reset, and a pooler's connection is not ours to reset.
        settings.NoResetOnClose = true;
        settings.Enlist = false;
        if (prepares && !settings.ShouldSerialize("Max Auto Prepare")) settings.MaxAutoPrepare = MaxPrepared;
        // Which statement of a batch had to change a row and did not is told by the failure.
        settings.IncludeFailedBatchedCommand = true;
        var builder = new NpgsqlDataSourceBuilder(settings.ConnectionString);
        if (!settings.Host!.Contains(',', StringComparison.Ordinal)) return builder.Build();
        return builder.BuildMultiHost().WithTargetSession(settings.TargetSessionAttributes is { Length: > 0 } said ? Enum.Parse<TargetSessionAttributes>(said.Replace("-", "", StringComparison.Ordinal), ignoreCase: true) : target);
    }
}
