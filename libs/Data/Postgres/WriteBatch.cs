using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>Statements that are carried out together, or not at all, without an answer in between.</summary>
public sealed class WriteBatch
{
    private readonly List<Func<Exception>?> _expectations = [];

    /// <summary>
    /// The caller finds out by itself whether the batch was stored when it is told that the outcome is unknown. Such batches are committed in the round trip that carries
    /// them out; a connection that breaks in it leaves the outcome open, where others are repeated unseen.
    /// </summary>
    public bool FindsOutOutcome { get; init; }

    internal List<NpgsqlBatchCommand> Statements { get; } = [];

    /// <summary>Adds a statement; see <see cref="PostgresSession.Sql"/>. Returns its place in the counts of changed rows.</summary>
    public int Add(string sql, params ReadOnlySpan<object?> values)
    {
        Statements.Add(PostgresStatement.Command(sql, values));
        _expectations.Add(null);
        return Statements.Count - 1;
    }

    /// <summary>
    /// Adds an INSERT, UPDATE or DELETE without RETURNING that must change a row: where it changes none, what comes after it is not carried out, the whole batch is undone, and
    /// the exception thrown.
    /// </summary>
    public void AddRequired(Func<Exception> otherwise, string sql, params ReadOnlySpan<object?> values)
    {
        // Fails in the server, so that nobody has to look at the counts before the commit. No statement here divides, so that this division by zero is told from any other failure.
        Add($"WITH changed AS ({sql}\nRETURNING 1) SELECT 1 / count(*) FROM changed", values);
        _expectations[^1] = otherwise;
    }

    /// <summary>How many rows each statement changed, once they are carried out; nothing is said of those that must change one.</summary>
    internal IReadOnlyList<long> Counts() => [.. Statements.Select(static s => (long)s.RecordsAffected)];

    /// <summary>What to throw for a failure of the batch: the exception of the statement that had to change a row, or null when the failure is another.</summary>
    internal Exception? Refusal(PostgresException failure) => failure is { SqlState: PostgresErrorCodes.DivisionByZero, BatchCommand: NpgsqlBatchCommand failed }
        && Statements.IndexOf(failed) is >= 0 and var place ? _expectations[place]?.Invoke() : null;

    /// <summary>The same statements anew: those of a batch that failed belong to it.</summary>
    internal void Renew()
    {
        for (int i = 0; i < Statements.Count; i++)
        {
            NpgsqlBatchCommand old = Statements[i], copy = new(old.CommandText);
            foreach (NpgsqlParameter parameter in old.Parameters) copy.Parameters.Add(parameter.Clone());
            Statements[i] = copy;
        }
    }
}
