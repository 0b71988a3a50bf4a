using MultiAgent.Contracts;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// The schema of one service in PostgreSQL. Whose rows are meant is said with every call; row-level security holds it. Failures that pass are
/// repeated where that is safe, and otherwise told as <see cref="StorageUnavailableException"/>.
/// </summary>
public sealed class PostgresDatabase : IAsyncDisposable, IDisposable
{
    private readonly int _queueCapacity;
    private readonly Lock _lock = new();
    private PostgresWriter? _writer;

    /// <param name="service">The service's name; the schema has it with <c>_</c> in place of <c>-</c>.</param>
    /// <param name="server">The process's connections.</param>
    /// <param name="options">How many writes may wait.</param>
    public PostgresDatabase(string service, PostgresServer server, DataOptions options)
    {
        Service = service;
        Schema = SchemaOf(service);
        Server = server;
        _queueCapacity = options.WriteQueueCapacity;
    }

    public string Service { get; }

    /// <summary>Name of the schema; SQL writes it before every table.</summary>
    public string Schema { get; }

    public PostgresServer Server { get; }

    /// <summary>Appends of many callers in common transactions; started on first use.</summary>
    public PostgresWriter Writer
    {
        get
        {
            if (_writer is { } writer) return writer;
            lock (_lock) return _writer ??= new PostgresWriter(this, _queueCapacity);
        }
    }

    public static string SchemaOf(string service) => service.Replace('-', '_');

    /// <summary>Reads one tenant's rows. Each statement sees what was committed when it began; the query may run again after a failure that passes.</summary>
    /// <exception cref="StorageUnavailableException">The database is away.</exception>
    public Task<T> ReadAsync<T>(string tenantId, Func<PostgresSession, Task<T>> query, CancellationToken cancellationToken = default) =>
        ReadAsync(TenantScope.Of(tenantId), query, cancellationToken);

    /// <inheritdoc cref="ReadAsync{T}(string, Func{PostgresSession, Task{T}}, CancellationToken)"/>
    /// <param name="scope">One tenant, or <see cref="TenantScope.System"/> with a reason.</param>
    public Task<T> ReadAsync<T>(TenantScope scope, Func<PostgresSession, Task<T>> query, CancellationToken cancellationToken = default) =>
        ReadAsync(Server.Primary, scope, query, cancellationToken);

    /// <summary>Reads from the replica, which may be some moments behind; from the primary where there is none or it does not answer.</summary>
    public async Task<T> ReadReplicaAsync<T>(TenantScope scope, Func<PostgresSession, Task<T>> query, CancellationToken cancellationToken = default)
    {
        if (Server.Replica is not { } replica) return await ReadAsync(scope, query, cancellationToken);
        try
        {
            return await ReadAsync(replica, scope, query, cancellationToken);
        }
        catch (StorageUnavailableException)
        {
            return await ReadAsync(scope, query, cancellationToken);
        }
    }

    /// <summary>
    /// Runs <paramref name="work"/> in a transaction of one tenant and commits it. It may run again when PostgreSQL undid it (a deadlock, a restart), so it
    /// must do nothing but use its session; an exception undoes it and is thrown here.
    /// </summary>
    /// <exception cref="StorageUnavailableException">The database is away.</exception>
    public Task<T> WriteAsync<T>(string tenantId, Func<PostgresSession, Task<T>> work, CancellationToken cancellationToken = default) =>
        WriteAsync(TenantScope.Of(tenantId), work, cancellationToken);

    /// <inheritdoc cref="WriteAsync{T}(string, Func{PostgresSession, Task{T}}, CancellationToken)"/>
    /// <param name="scope">One tenant, or <see cref="TenantScope.System"/> with a reason.</param>
    public async Task<T> WriteAsync<T>(TenantScope scope, Func<PostgresSession, Task<T>> work, CancellationToken cancellationToken = default)
    {
        for (int attempt = 1; ; attempt++)
        {
            bool committing = false;
            try
            {
                await using NpgsqlConnection connection = await Server.Primary.OpenConnectionAsync(cancellationToken);
                await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
                T result = await work(new PostgresSession(connection, transaction, scope));
                committing = true;
                // Not cancellable: whether it was committed must be known.
                await transaction.CommitAsync(CancellationToken.None);
                return result;
            }
            catch (Exception e) when (attempt < PostgresFaults.Attempts && PostgresFaults.IsUndone(e, committing))
            {
                await PostgresFaults.DelayAsync(attempt, cancellationToken);
            }
            catch (Exception e) when (e is not StorageUnavailableException && PostgresFaults.IsUnavailable(e))
            {
                throw PostgresFaults.Unavailable(e, outcomeUnknown: committing && !PostgresFaults.IsUndone(e, committing));
            }
        }
    }

    /// <inheritdoc cref="WriteAsync{T}(TenantScope, Func{PostgresSession, Task{T}}, CancellationToken)"/>
    public Task WriteAsync(TenantScope scope, Func<PostgresSession, Task> work, CancellationToken cancellationToken = default) =>
        WriteAsync(scope, async session =>
        {
            await work(session);
            return true;
        }, cancellationToken);

    /// <summary>
    /// Runs <paramref name="work"/> while no other process is in the same part: it holds a lock of the transaction, which a pooler respects and which ends
    /// with the process. The work uses connections of its own.
    /// </summary>
    public async Task<T> ExclusivelyAsync<T>(string part, Func<Task<T>> work, CancellationToken cancellationToken = default)
    {
        await using NpgsqlConnection connection = await Server.Primary.OpenConnectionAsync(cancellationToken);
        await using NpgsqlTransaction transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var take = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", connection, transaction) { Parameters = { new() { Value = $"{Schema} {part}" } }, CommandTimeout = 0 })
            await take.ExecuteNonQueryAsync(cancellationToken);
        return await work();
    }

    public void Dispose() => _writer?.DisposeAsync().AsTask().GetAwaiter().GetResult();

    public async ValueTask DisposeAsync()
    {
        if (_writer is { } writer) await writer.DisposeAsync();
    }

    private static async Task<T> ReadAsync<T>(NpgsqlDataSource source, TenantScope scope, Func<PostgresSession, Task<T>> query, CancellationToken cancellationToken)
    {
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await using NpgsqlConnection connection = await source.OpenConnectionAsync(cancellationToken);
                return await query(new PostgresSession(connection, null, scope));
            }
            catch (Exception e) when (PostgresFaults.IsUnavailable(e) && e is not StorageUnavailableException)
            {
                // A time limit that passed would only pass again.
                bool again = attempt < PostgresFaults.Attempts && (PostgresFaults.IsUndone(e) || PostgresFaults.IsBroken(e));
                if (!again) throw PostgresFaults.Unavailable(e);
                await PostgresFaults.DelayAsync(attempt, cancellationToken);
            }
        }
    }
}
