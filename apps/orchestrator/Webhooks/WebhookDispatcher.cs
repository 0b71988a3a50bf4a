using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Orchestrator.Runs.Leases;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>
/// Sends what is due. Replicas share the deliveries by leases: one that dies in an attempt leaves it to another when the lease is over. A run that ends here rings,
/// and what others leave is looked for every second.
/// </summary>
internal sealed partial class WebhookDispatcher(
    IWebhookStore store, WebhookSender sender, RunOwner owner, WebhookBell bell, IOptions<WebhookOptions> options, TimeProvider time, ILogger<WebhookDispatcher> logger) : BackgroundService
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);
    // Above the time limit of an attempt.
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(120);
    private const int PruneBatch = 500;

    private readonly ConcurrentDictionary<string, int> _underWay = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Task, byte> _attempts = new();

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Beat, time);
        Task tick = timer.WaitForNextTickAsync(stoppingToken).AsTask(), rung = bell.WaitAsync(stoppingToken);
        DateTimeOffset prune = time.GetUtcNow();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await SendDueAsync(stoppingToken);
                if (time.GetUtcNow() >= prune)
                {
                    prune = time.GetUtcNow().AddHours(1);
                    while (await store.PruneAsync(time.GetUtcNow().AddDays(-options.Value.RetentionDays), PruneBatch) >= PruneBatch) stoppingToken.ThrowIfCancellationRequested();
                }
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
            await Task.WhenAny(tick, rung);
            if (tick.IsCompleted) tick = timer.WaitForNextTickAsync(stoppingToken).AsTask();
            if (rung.IsCompleted) rung = bell.WaitAsync(stoppingToken);
        }
        // They end within the time limit of an attempt; the host waits less than that, and the leases do the rest.
        await Task.WhenAll(_attempts.Keys);
    }

    private async Task SendDueAsync(CancellationToken stoppingToken)
    {
        int most = options.Value.MaxConcurrent, share = Math.Max(1, most / 4);
        while (!stoppingToken.IsCancellationRequested && _attempts.Count < most)
        {
            string[] busy = [.. _underWay.Where(e => e.Value >= share).Select(e => e.Key)];
            IReadOnlyList<WebhookDelivery> due = await store.ClaimAsync(owner.Name, time.GetUtcNow(), Lease, busy, share, most - _attempts.Count);
            if (due.Count == 0) return;
            foreach (WebhookDelivery delivery in due) Begin(delivery, stoppingToken);
        }
    }

    private void Begin(WebhookDelivery delivery, CancellationToken stoppingToken)
    {
        _underWay.AddOrUpdate(delivery.EndpointId, 1, static (_, count) => count + 1);
        Task attempt = AttemptAsync(delivery, stoppingToken);
        _attempts[attempt] = 0;
        _ = attempt.ContinueWith(ended =>
        {
            _attempts.TryRemove(ended, out _);
            if (_underWay.AddOrUpdate(delivery.EndpointId, 0, static (_, count) => count - 1) == 0) _underWay.TryRemove(new KeyValuePair<string, int>(delivery.EndpointId, 0));
            // The next of the same run, or one that found no room.
            bell.Ring();
        }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private async Task AttemptAsync(WebhookDelivery delivery, CancellationToken stoppingToken)
    {
        try
        {
            if (await store.FindEndpointAsync(delivery.TenantId, delivery.EndpointId) is not { Disabled: null } endpoint) return;
            WebhookAnswer answer = await sender.SendAsync(endpoint, delivery, stoppingToken);
            await store.CompleteAsync(delivery, owner.Name, ResultOf(delivery, answer));
            if (answer.Status == 410) await store.DisableAsync(delivery.TenantId, delivery.EndpointId, WebhookEndpoint.Gone, time.GetUtcNow());
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Another process, or the next start, goes on when the lease is over.
        }
        catch (Exception e)
        {
            LogNotNoted(e, delivery.Id);
        }
    }

    private DeliveryResult ResultOf(WebhookDelivery delivery, WebhookAnswer answer)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (answer.Status is >= 200 and < 300) return new DeliveryResult(DeliveryState.Delivered, answer.Status, null, now, now);
        string error = answer.Error ?? "refused";
        TimeSpan? pause = answer.Status == 410 ? null : DeliverySchedule.After(delivery.Attempts + 1, answer.RetryAfter, Random.Shared.NextDouble());
        return pause is { } wait ? new DeliveryResult(DeliveryState.Pending, answer.Status, error, now + wait, now) : new DeliveryResult(DeliveryState.Failed, answer.Status, error, now, now);
    }

    [LoggerMessage(EventId = 1, EventName = "WebhooksNotSent", Level = LogLevel.Warning, Message = "Webhooks that are due could not be looked for; trying again")]
    private partial void LogFailed(Exception e);

    [LoggerMessage(EventId = 2, EventName = "WebhookNotNoted", Level = LogLevel.Warning, Message = "What came of webhook delivery {DeliveryId} could not be noted; it is made again")]
    private partial void LogNotNoted(Exception e, string deliveryId);
}
