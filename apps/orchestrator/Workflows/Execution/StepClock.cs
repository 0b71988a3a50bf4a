using System.Diagnostics;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Runs;
using MultiAgent.Workflows.Steps;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>Measures one step as far as it is executed in this process: all of its time, and what of it was spent outside the engine. Its span, when somebody listens.</summary>
internal sealed class StepClock(Step step, RunMetrics metrics, TimeProvider time) : IDisposable
{
    private readonly long _begun = time.GetTimestamp();
    private long _outside;
    private Activity? _activity;

    /// <summary>Begins the step's span, in which those of its agents and tools lie.</summary>
    public StepClock Trace(RunRecord run, string path)
    {
        if (PlatformTelemetry.Activities.HasListeners())
            _activity = PlatformTelemetry.Activities.StartActivity($"workflow_step {step.Type}")?.SetTag("maap.run.id", run.Id).SetTag("maap.step.path", path).SetTag("maap.step.type", step.Type);
        return this;
    }

    /// <summary>Waits for something that is not the engine: a tool, an agent's run, a person, an event, a time.</summary>
    public async Task<T> OutsideAsync<T>(Task<T> work)
    {
        long begun = time.GetTimestamp();
        try
        {
            return await work;
        }
        finally
        {
            Interlocked.Add(ref _outside, time.GetElapsedTime(begun).Ticks);
        }
    }

    /// <summary>The step's end is in the log.</summary>
    /// <param name="error">Its code; null when it succeeded.</param>
    public void Ended(string? error)
    {
        TimeSpan all = time.GetElapsedTime(_begun);
        // Of a step that consists of others, their time is not its own.
        bool leaf = step is AgentStep or ToolStep or TransformStep or HumanStep or WaitStep or EndStep;
        metrics.StepEnded(step.Type, error is null ? "completed" : "failed", all, leaf ? all - TimeSpan.FromTicks(Interlocked.Read(ref _outside)) : null);
        if (error is not null) _activity?.SetStatus(ActivityStatusCode.Error).SetTag("error.type", error);
    }

    public void Dispose() => _activity?.Dispose();
}
