using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Limits;

namespace MultiAgent.Hosting;

/// <summary>
/// Holds a stop back for <see cref="LimitsOptions.DrainDelaySeconds"/> while <c>/health/ready</c> says that the instance is draining, so that load
/// balancers send their requests elsewhere before it stops to listen.
/// </summary>
internal sealed class DrainDelay(IOptions<LimitsOptions> limits, TimeProvider time) : IHostedLifecycleService
{
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.Delay(TimeSpan.FromSeconds(limits.Value.DrainDelaySeconds), time, cancellationToken);
}
