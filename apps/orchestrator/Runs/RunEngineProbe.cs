using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Health;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Health by progress: how long the active run that moved least recently has stood still.</summary>
internal sealed class RunEngineProbe(RunEngine engine, TimeProvider time, IOptions<RunsOptions> options) : IHealthProbe
{
    public string Service => OrchestratorModule.ServiceName;

    public string Name => "runs";

    public ValueTask<ProbeResult> CheckAsync(CancellationToken cancellationToken)
    {
        int active = 0;
        TimeSpan oldest = TimeSpan.Zero;
        foreach (LiveRun live in engine.Active)
        {
            active++;
            if (!live.HasBegun) continue;
            TimeSpan still = time.GetElapsedTime(live.LastProgress);
            if (still > oldest) oldest = still;
        }
        string detail = $"{active} runs unfinished, oldest without progress {oldest.TotalSeconds:0} s";
        return new(oldest.TotalSeconds > options.Value.StalledAfterSeconds ? ProbeResult.Degraded(detail) : ProbeResult.Ok(detail));
    }
}
