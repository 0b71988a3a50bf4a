using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Data;
using MultiAgent.Hosting.Identity;
using MultiAgent.Tenants.ApiKeys;
using MultiAgent.Tenants.Auth;

namespace MultiAgent.Tenants.Callers;

/// <summary>
/// Other replicas may change what this one has cached, wherever they share a database. While their changes are not heard, no cached caller is believed for longer than
/// half a second; together with those who ask this service and look back as far, that stays below the second that is promised.
/// </summary>
internal sealed class CallerBelief(ApiKeyCache keys, AccessTokenCache tokens, ICallerChangeFeed feed, IOptions<DataOptions> data, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(400);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // A file belongs to one process: nobody else changes it.
        if (string.IsNullOrWhiteSpace(data.Value.DatabaseUrl)) return;
        using var timer = new PeriodicTimer(Longest, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (feed.HearsOthers && feed.HearsTellers) continue;
            keys.ForgetAll();
            tokens.ForgetAll();
        }
    }
}
