using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiAgent.Data.Tenancy;

namespace MultiAgent.Tenants.ApiKeys;

/// <summary>Writes when keys were last used, once a minute and at the end; not per request.</summary>
internal sealed partial class ApiKeyLastUsed(ApiKeyCache cache, ServiceDb<TenantDb> db, TimeProvider time, ILogger<ApiKeyLastUsed> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMinutes(1), time);
        while (await timer.WaitForNextTickAsync(stoppingToken)) await WriteAsync();
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await WriteAsync();
    }

    private async Task WriteAsync()
    {
        try
        {
            foreach (ApiKeyCache.Use use in cache.Uses)
            {
                long last = Volatile.Read(ref use.Last);
                if (last == use.Written) continue;
                await using TenantDb context = db.Open(use.TenantId);
                DateTimeOffset at = DateTimeOffset.FromUnixTimeMilliseconds(last);
                // Another replica may have seen it later.
                await context.ApiKeys.Where(k => k.Id == use.ApiKeyId && (k.LastUsedAt == null || k.LastUsedAt < at)).ExecuteUpdateAsync(set => set.SetProperty(k => k.LastUsedAt, at));
                use.Written = last;
            }
            cache.TrimUses();
        }
        catch (Exception e)
        {
            LogFailed(e);
        }
    }

    [LoggerMessage(EventId = 1, EventName = "ApiKeyLastUsedFailed", Level = LogLevel.Warning, Message = "The last use of API keys could not be stored; trying again in a minute")]
    private partial void LogFailed(Exception e);
}
