using System.Text.Json;
using Microsoft.EntityFrameworkCore.Storage;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Tenants.Callers;

/// <summary>Saves changes of credentials: the change and its event in one transaction, and the cached callers forgotten right after.</summary>
internal sealed class CallerChanges(CallerCache cache, TimeProvider time)
{
    /// <summary>Saves and commits <paramref name="context"/>, in its transaction if it has begun one.</summary>
    public async Task SaveAsync(TenantDb context, CallerChanged change, CancellationToken cancellationToken)
    {
        EventEnvelope e = Envelope(change, time.GetUtcNow());
        await using IDbContextTransaction? own = context.Database.CurrentTransaction is null ? await context.Database.BeginTransactionAsync(cancellationToken) : null;
        await context.SaveChangesAsync(cancellationToken);
        await Outbox.AddAsync(context, e, cancellationToken);
        try
        {
            // Not cancellable: whether it was committed must be known.
            await context.Database.CurrentTransaction!.CommitAsync(CancellationToken.None);
        }
        finally
        {
            cache.Forget(change);
        }
    }

    /// <summary>Forgets after a change that was written on another path.</summary>
    public void Forget(CallerChanged change) => cache.Forget(change);

    public static EventEnvelope Envelope(CallerChanged change, DateTimeOffset now) => new()
    {
        Id = Ids.New("evt", now),
        Subject = Subjects.CallerChanged,
        Source = TenantModule.Service,
        TenantId = change.TenantId,
        OrderingKey = change.TenantId,
        Time = now,
        Data = JsonSerializer.SerializeToUtf8Bytes(change, EventJson.Default.CallerChanged),
    };
}
