using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>Statements that are carried out together, or not at all, without an answer in between.</summary>
public sealed class WriteBatch
{
    private readonly List<Func<Exception>?> _expectations = [];

    internal List<NpgsqlBatchCommand> Statements { get; } = [];

    /// <summary>Adds a statement; see <see cref="PostgresSession.Sql"/>. Returns its place in the counts of changed rows.</summary>
    public int Add(string sql, params ReadOnlySpan<object?> values)
    {
        Statements.Add(PostgresStatement.Command(sql, values));
        _expectations.Add(null);
        return Statements.Count - 1;
    }

    /// <summary>Adds a statement that must change a row: where it changes none, the whole batch is undone and the exception thrown.</summary>
    public int AddRequired(Func<Exception> otherwise, string sql, params ReadOnlySpan<object?> values)
    {
        int place = Add(sql, values);
        _expectations[place] = otherwise;
        return place;
    }

    /// <summary>How many rows each statement changed, once they are carried out.</summary>
    internal IReadOnlyList<long> Check()
    {
        var counts = new long[Statements.Count];
        for (int i = 0; i < counts.Length; i++)
        {
            counts[i] = (long)Statements[i].RecordsAffected;
            if (counts[i] == 0 && _expectations[i] is { } otherwise) throw otherwise();
        }
        return counts;
    }

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
