using MultiAgent.Contracts;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// What a failure of PostgreSQL means (https://www.postgresql.org/docs/16/errcodes-appendix.html): whether the work was surely undone and may be
/// repeated, and whether the database is to blame and not the work.
/// </summary>
public static class PostgresFaults
{
    /// <summary>Attempts in all at what may be repeated.</summary>
    internal const int Attempts = 4;

    /// <summary>The statement or transaction was surely undone: it may be repeated, whatever it was.</summary>
    public static bool IsUndone(Exception e) => Find(e) is { } found && (found is PostgresException server
        // serialization failure, deadlock, shutdown by the administrator or a crash, starting up, too many connections, a standby after a failover, lock not available
        ? server.SqlState is "40001" or "40P01" or "57P01" or "57P02" or "57P03" or "53300" or "25006" or "55P03"
            // a prepared statement whose columns have changed with a migration; it is prepared anew
            || server is { SqlState: "0A000", Routine: "RevalidateCachedQuery" }
        // no connection was made at all
        : found.InnerException is System.Net.Sockets.SocketException && found.Message.StartsWith("Failed to connect", StringComparison.Ordinal));

    /// <summary>
    /// A transaction was surely undone. <paramref name="committing"/>: its commit may have been on its way; then a connection that broke, or that the server ended, says nothing.
    /// </summary>
    internal static bool IsUndone(Exception e, bool committing) => committing ? IsUndone(e) && Find(e) is not PostgresException { SqlState: "57P01" or "57P02" } : IsUndone(e) || IsBroken(e);

    /// <summary>Transactions got in each other's way; smaller ones may not.</summary>
    public static bool IsConflict(Exception e) => Find(e) is PostgresException { SqlState: "40001" or "40P01" or "55P03" };

    /// <summary>The connection broke. Before a transaction's commit was sent that undoes it; a statement by itself may have been carried out.</summary>
    public static bool IsBroken(Exception e) => Find(e) is { InnerException: IOException } and not PostgresException;

    /// <summary>The database is away, or too busy: another attempt may do better, but this one may have been carried out.</summary>
    public static bool IsUnavailable(Exception e) => e is StorageUnavailableException || (Find(e) is { } found && (found is PostgresException server
        ? IsUndone(server) || server.SqlState.StartsWith("08", StringComparison.Ordinal) || server.SqlState.StartsWith("53", StringComparison.Ordinal) || server.SqlState is "57014" or "58000" or "58030"
        : found.IsTransient || found.InnerException is IOException or TimeoutException or System.Net.Sockets.SocketException or ObjectDisposedException));

    /// <summary>True for a key that is there already.</summary>
    public static bool IsDuplicate(Exception e) => Find(e) is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation };

    /// <summary>True for a text that PostgreSQL cannot hold: one with a NUL.</summary>
    public static bool IsUnstorableText(Exception e) => Find(e) is PostgresException { SqlState: PostgresErrorCodes.CharacterNotInRepertoire or PostgresErrorCodes.UntranslatableCharacter };

    /// <summary>The wait before attempt number <paramref name="attempt"/> (from 1): short, since a request waits; with jitter, since those that collided would meet again.</summary>
    internal static Task DelayAsync(int attempt, CancellationToken cancellationToken) =>
        Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(5, 20) * (1 << (attempt * 2 - 1))), cancellationToken);

    internal static StorageUnavailableException Unavailable(Exception e, bool outcomeUnknown = false) =>
        new(outcomeUnknown ? "The connection to the database was lost while it committed." : "The database is not available.", e) { OutcomeUnknown = outcomeUnknown };

    private static NpgsqlException? Find(Exception e)
    {
        for (Exception? at = e; at is not null; at = at.InnerException)
            if (at is NpgsqlException found) return found;
        return null;
    }
}
