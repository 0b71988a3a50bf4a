using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Guardrails;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Metrics of runs. Agents are named by tenants, so their label is bounded.</summary>
internal sealed class RunMetrics
{
    // A workflow may take from milliseconds to weeks.
    private static readonly InstrumentAdvice<double> LongSeconds = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86_400, 604_800],
    };

    private static readonly InstrumentAdvice<double> OverheadSeconds = new() { HistogramBucketBoundaries = [0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5] };

    private readonly BoundedLabel _agents;
    private readonly ChatMetrics _chats;
    private readonly Counter<long> _runs = PlatformTelemetry.Meter.CreateCounter<long>("agent_runs", null, "Runs that ended.");
    private readonly Histogram<double> _duration = PlatformTelemetry.Meter.CreateHistogram("agent_run_duration", "s", "Time from a run's start to its end.", null, PlatformTelemetry.LatencySeconds);
    private readonly Counter<long> _steps = PlatformTelemetry.Meter.CreateCounter<long>("agent_steps", null, "Model calls that runs made.");
    private readonly Counter<long> _toolCalls = PlatformTelemetry.Meter.CreateCounter<long>("tool_calls", null, "Calls of built-in tools.");
    private readonly Counter<long> _guardrails = PlatformTelemetry.Meter.CreateCounter<long>("guardrail_triggers", null, "Times that a guardrail of an agent found what it guards against.");
    private readonly Histogram<double> _runDuration = PlatformTelemetry.Meter.CreateHistogram("orchestrator_run_duration", "s", "Time from a run's start to its end, rests included, by kind of run.", null, LongSeconds);
    private readonly Histogram<double> _stepDuration = PlatformTelemetry.Meter.CreateHistogram("orchestrator_step_duration", "s", "Time from a workflow step's beginning to its end in this process, by type of step.", null, LongSeconds);
    private readonly Histogram<double> _stepOverhead = PlatformTelemetry.Meter.CreateHistogram("orchestrator_step_overhead", "s", "The engine's own time for a step, its writes included, without what the agent, tool or wait took.", null, OverheadSeconds);
    private readonly Counter<long> _takenUp = PlatformTelemetry.Meter.CreateCounter<long>("orchestrator_runs_taken_up", null, "Runs that went on in this process from their log.");
    private readonly Counter<long> _snapshots = PlatformTelemetry.Meter.CreateCounter<long>("orchestrator_snapshots", null, "Snapshots of long runs that were kept.");
    private readonly Counter<long> _compensationsFailed = PlatformTelemetry.Meter.CreateCounter<long>("orchestrator_compensations_failed", null, "Compensations of workflows that failed after all their attempts.");
    private readonly Counter<long> _noProgress = PlatformTelemetry.Meter.CreateCounter<long>("orchestrator_no_progress", null, "Times that agents went round without getting anywhere and were stopped.");
    private Func<int> _active = () => 0;

    public RunMetrics(IOptions<TelemetryOptions> options, ChatMetrics chats)
    {
        _chats = chats;
        _agents = new BoundedLabel(options.Value.MaxLabelValues);
        PlatformTelemetry.Meter.CreateObservableGauge("agent_runs_active", () => _active(), null, "Runs that are active or waiting.");
    }

    public void ObserveActive(Func<int> count) => _active = count;

    public void Accepted(RunRecord run) => _chats.Requested(run.Surface);

    public void Ended(RunRecord run, TimeSpan duration)
    {
        var tags = new TagList { { "agent", _agents.Of(run.Agent) }, { "status", RunStatusNames.Of(run.Status) } };
        _runs.Add(1, tags);
        _chats.Completed(run.Surface, RunStatusNames.Of(run.Status));
        _duration.Record(duration.TotalSeconds, tags);
        _runDuration.Record(duration.TotalSeconds, new TagList { { "kind", KindOf(run) }, { "status", RunStatusNames.Of(run.Status) } });
        _steps.Add(run.Steps, new KeyValuePair<string, object?>("agent", _agents.Of(run.Agent)));
    }

    public void GuardrailTriggered(GuardrailEvent triggered) =>
        _guardrails.Add(1, new TagList { { "guardrail", triggered.Guardrail }, { "stage", GuardrailNames.Of(triggered.Stage) }, { "action", GuardrailNames.Of(triggered.Action) } });

    /// <summary>A step of a workflow ended. Types of steps are the platform's own, so their label is bounded.</summary>
    /// <param name="type">Its type.</param>
    /// <param name="status"><c>completed</c> or <c>failed</c>.</param>
    /// <param name="duration">From its beginning in this process.</param>
    /// <param name="overhead">What of it was the engine's own; null for a step that consists of others.</param>
    public void StepEnded(string type, string status, TimeSpan duration, TimeSpan? overhead)
    {
        _stepDuration.Record(duration.TotalSeconds, new TagList { { "type", type }, { "status", status } });
        if (overhead is { } own) _stepOverhead.Record(own.TotalSeconds, new KeyValuePair<string, object?>("type", type));
    }

    public void SnapshotMade() => _snapshots.Add(1);

    /// <param name="reason"><c>lease</c>: its holder died, stopped or lost it; <c>wake</c>: what it waited for has come.</param>
    public void TakenUp(string reason) => _takenUp.Add(1, new KeyValuePair<string, object?>("reason", reason));

    public void CompensationFailed() => _compensationsFailed.Add(1);

    /// <param name="kind"><c>loop</c>, <c>group_chat</c>, <c>handoff</c> or <c>sub_run</c>.</param>
    public void NoProgress(string kind) => _noProgress.Add(1, new KeyValuePair<string, object?>("kind", kind));

    private static string KindOf(RunRecord run) => run.ParentRunId is not null ? "step" : RunKindNames.Of(run.Kind);

    // The tool's name comes from the registry here, never from the model.
    public void ToolCalled(string tool, bool error) => _toolCalls.Add(1, new TagList { { "tool", tool }, { "status", error ? "error" : "ok" } });
}
