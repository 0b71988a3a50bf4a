using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using MultiAgent.Data;
using MultiAgent.Hosting.Health;
using MultiAgent.Testing;
using Xunit;

namespace MultiAgent.Hosting.Tests.Health;

/// <summary>How often the dependencies are looked at for those who ask.</summary>
public sealed class HealthStateTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly CountedProbe _probe = new();
    private readonly ServiceProvider _services;
    private readonly HealthState _state;

    public HealthStateTests()
    {
        _services = new ServiceCollection().AddSingleton<IHealthProbe>(_probe).AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()).AddDataOptions().BuildServiceProvider();
        _state = new HealthState(_services, _time);
    }

    public void Dispose() => _services.Dispose();

    [Fact]
    public async Task Many_WhoAskWithinASecond_GetOneLook()
    {
        DependencyHealth[][] reports = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => _state.DependenciesAsync(default)));
        Assert.All(reports, r => Assert.Equal("ok", r.Single().Status));
        _time.Advance(TimeSpan.FromMilliseconds(999));
        await _state.DependenciesAsync(default);
        Assert.Equal(1, _probe.Looks);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await _state.DependenciesAsync(default);
        Assert.Equal(2, _probe.Looks);
    }

    [Fact]
    public async Task Something_ThatIsDown_IsLookedAtSooner()
    {
        _probe.Result = ProbeResult.Down("gone");
        Assert.Equal("down", (await _state.DependenciesAsync(default)).Single().Status);
        _probe.Result = ProbeResult.Ok();
        _time.Advance(TimeSpan.FromMilliseconds(200));
        Assert.Equal("ok", (await _state.DependenciesAsync(default)).Single().Status);
    }

    [Fact]
    public async Task OneWhoLeaves_DoesNotEndTheLookOfTheOthers()
    {
        _probe.Gate = new TaskCompletionSource();
        using var leave = new CancellationTokenSource();
        Task<DependencyHealth[]> first = _state.DependenciesAsync(leave.Token), second = _state.DependenciesAsync(default);
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        _probe.Gate.SetResult();
        Assert.Equal("ok", (await second.WaitAsync(Eventually.Deadline)).Single().Status);
        Assert.Equal(1, _probe.Looks);
    }

    private sealed class CountedProbe : IHealthProbe
    {
        public int Looks;

        public ProbeResult Result { get; set; } = ProbeResult.Ok();

        public TaskCompletionSource? Gate { get; set; }

        public string Service => "test";

        public string Name => "counted";

        public async ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref Looks);
            if (Gate is { } gate) await gate.Task.WaitAsync(cancellationToken);
            return Result;
        }
    }
}
