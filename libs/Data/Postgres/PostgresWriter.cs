using System.Threading.Channels;
using MultiAgent.Contracts;
using MultiAgent.Data.Tenancy;
using Npgsql;

namespace MultiAgent.Data.Postgres;

/// <summary>
/// Appends in common transactions (group commit): what arrives together goes to the server in one round trip, the commit among it where all can do with that
/// (<see cref="WriteBatch.FindsOutOutcome"/>), whoever's it is. Each caller waits for its own write to be durable. If one write of a transaction fails, each gets a transaction of its own, so only the bad one fails.
/// </summary>
public sealed class PostgresWriter : IAsyncDisposable
{
    // While one transaction waits for the disk, the next one is on its way; more would only make them smaller.
    private const int Lanes = 3;

    // Bounds the time of one transaction.
    private const int MaxItems = 256;

    private readonly PostgresDatabase _database;
    private readonly Channel<Item> _queue;
    private readonly Task[] _lanes;

    internal PostgresWriter(PostgresDatabase database, int capacity)
    {
        _database = database;
        _queue = Channel.CreateBounded<Item>(capacity);
        _lanes = [.. Enumerable.Range(0, Lanes).Select(_ => Task.Run(RunAsync))];
    }

    /// <summary>Writes waiting for their turn.</summary>
    public int QueueLength => _queue.Reader.Count;

    /// <summary>
    /// Carries out a batch of statements for one scope and returns how many rows each one changed, once they are durable. An exception undoes this batch
    /// alone. Two batches of one caller are in order when the caller waits for the first.
    /// </summary>
    /// <exception cref="OverloadedException">The queue is full; nothing was written.</exception>
    /// <exception cref="StorageUnavailableException">The database is away.</exception>
    public Task<IReadOnlyList<long>> WriteAsync(TenantScope scope, WriteBatch batch)
    {
        var item = new Item(scope, batch);
        if (!_queue.Writer.TryWrite(item))
        {
            ObjectDisposedException.ThrowIf(_queue.Reader.Completion.IsCompleted, this);
            throw new OverloadedException("The storage queue is full.");
        }
        return item.Done.Task;
    }

    /// <inheritdoc cref="WriteAsync(TenantScope, WriteBatch)"/>
    public Task<IReadOnlyList<long>> WriteAsync(string tenantId, WriteBatch batch) => WriteAsync(TenantScope.Of(tenantId), batch);

    /// <summary>Finishes what is queued.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await Task.WhenAll(_lanes);
    }

    private async Task RunAsync()
    {
        var items = new List<Item>(MaxItems);
        while (await _queue.Reader.WaitToReadAsync())
        {
            while (items.Count < MaxItems && _queue.Reader.TryRead(out Item? item)) items.Add(item);
            if (items.Count == 0) continue;
            await RunAsync(items);
            items.Clear();
        }
    }

    private async Task RunAsync(List<Item> items)
    {
        try
        {
            IReadOnlyList<long>[] counts = await CommitAsync(items);
            for (int i = 0; i < counts.Length; i++) items[i].Done.SetResult(counts[i]);
        }
        catch (Exception e) when (items.Count > 1 && (e is not StorageUnavailableException { OutcomeUnknown: var unknown } || (!unknown && PostgresFaults.IsConflict(e))))
        {
            // One bad write must not take its neighbours with it: each gets a transaction of its own. Where the database is away all fail at once.
            foreach (Item item in items)
            {
                item.Batch.Renew();
                await RunAsync([item]);
            }
        }
        catch (Exception e)
        {
            foreach (Item item in items) item.Done.SetException(e);
        }
    }

    private async Task<IReadOnlyList<long>[]> CommitAsync(List<Item> items)
    {
        // What is sent in one go without a transaction around it is one transaction (https://www.postgresql.org/docs/16/protocol-flow.html#PROTOCOL-FLOW-PIPELINING).
        bool atOnce = items.TrueForAll(static i => i.Batch.FindsOutOutcome);
        for (int attempt = 1; ; attempt++)
        {
            bool committing = atOnce;
            try
            {
                await using NpgsqlConnection connection = await _database.Server.Primary.OpenConnectionAsync();
                await using NpgsqlTransaction? transaction = atOnce ? null : await connection.BeginTransactionAsync();
                await using var all = new NpgsqlBatch(connection, transaction);
                foreach (Item item in items)
                {
                    all.BatchCommands.Add(RowScope.Command(item.Scope));
                    foreach (NpgsqlBatchCommand command in item.Batch.Statements) all.BatchCommands.Add(command);
                }
                await all.ExecuteNonQueryAsync();
                IReadOnlyList<long>[] counts = [.. items.Select(static i => i.Batch.Counts())];
                committing = true;
                if (transaction is not null) await transaction.CommitAsync();
                return counts;
            }
            catch (PostgresException e) when (items.Select(i => i.Batch.Refusal(e)).FirstOrDefault(static r => r is not null) is { } refusal)
            {
                throw refusal;
            }
            catch (Exception e) when (attempt < PostgresFaults.Attempts && PostgresFaults.IsUndone(e, committing))
            {
                await PostgresFaults.DelayAsync(attempt, CancellationToken.None);
                foreach (Item item in items) item.Batch.Renew();
            }
            catch (Exception e) when (e is not StorageUnavailableException && PostgresFaults.IsUnavailable(e))
            {
                throw PostgresFaults.Unavailable(e, outcomeUnknown: committing && !PostgresFaults.IsUndone(e, committing));
            }
        }
    }

    private sealed record Item(TenantScope Scope, WriteBatch Batch)
    {
        public TaskCompletionSource<IReadOnlyList<long>> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
