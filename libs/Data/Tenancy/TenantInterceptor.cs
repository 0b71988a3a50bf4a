using System.Data.Common;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using MultiAgent.Data.Postgres;
using Npgsql;

namespace MultiAgent.Data.Tenancy;

/// <summary>
/// Tells PostgreSQL the scope of EF Core's contexts, per transaction: at the beginning of one, and in front of each statement that is a transaction by
/// itself, in the same round trip. A statement of a context without a scope sees no row.
/// </summary>
internal sealed class TenantInterceptor : DbCommandInterceptor, IDbTransactionInterceptor
{
    public static readonly TenantInterceptor Instance = new();

    // The scope's answer comes first and is skipped: EF Core begins with the rows of its own statement.
    public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result, CancellationToken cancellationToken = default)
    {
        Announce(command, eventData);
        return new(result);
    }

    public override async ValueTask<DbDataReader> ReaderExecutedAsync(DbCommand command, CommandExecutedEventData eventData, DbDataReader result, CancellationToken cancellationToken = default)
    {
        if (IsAnnounced(command)) await result.NextResultAsync(cancellationToken);
        return result;
    }

    public override ValueTask<InterceptionResult<int>> NonQueryExecutingAsync(DbCommand command, CommandEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
    {
        Announce(command, eventData);
        return new(result);
    }

    public override ValueTask<InterceptionResult<object>> ScalarExecutingAsync(DbCommand command, CommandEventData eventData, InterceptionResult<object> result, CancellationToken cancellationToken = default) =>
        command.Transaction is null ? throw new NotSupportedException("A single value is read inside a transaction, or as a query.") : new(result);

    public override InterceptionResult<DbDataReader> ReaderExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result) => throw Synchronous();

    public override InterceptionResult<int> NonQueryExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<int> result) => throw Synchronous();

    public override InterceptionResult<object> ScalarExecuting(DbCommand command, CommandEventData eventData, InterceptionResult<object> result) => throw Synchronous();

    public async ValueTask<DbTransaction> TransactionStartedAsync(DbConnection connection, TransactionEndEventData eventData, DbTransaction result, CancellationToken cancellationToken = default)
    {
        if (eventData.Context is not ServiceDbContext context) return result;
        await using var batch = new NpgsqlBatch((NpgsqlConnection)connection, (NpgsqlTransaction)result);
        batch.BatchCommands.Add(RowScope.Command(context.Scope));
        await batch.ExecuteNonQueryAsync(cancellationToken);
        return result;
    }

    public DbTransaction TransactionStarted(DbConnection connection, TransactionEndEventData eventData, DbTransaction result) => throw Synchronous();

    private static void Announce(DbCommand command, CommandEventData eventData)
    {
        if (command.Transaction is not null || eventData.Context is not ServiceDbContext context) return;
        command.CommandText = RowScope.NamedSql + command.CommandText;
        RowScope.AddNamed((NpgsqlParameterCollection)command.Parameters, context.Scope);
    }

    private static bool IsAnnounced(DbCommand command) => command.CommandText.StartsWith(RowScope.NamedSql, StringComparison.Ordinal);

    private static NotSupportedException Synchronous() => new("Use the asynchronous methods.");
}
