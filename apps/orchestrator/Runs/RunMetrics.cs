using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using MultiAgent.Hosting.Telemetry;
using MultiAgent.Orchestrator.Guardrails;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Metrics of runs. Agents are named by tenants, so their label is bounded.</summary>
internal sealed class RunMetrics
{
    private readonly BoundedLabel _agents;
    private readonly ChatMetrics _chats;
    private readonly Counter<long> _runs = PlatformTelemetry.Meter.CreateCounter<long>("agent_runs", null, "Runs that ended.");
    private readonly Histogram<double> _duration = PlatformTelemetry.Meter.CreateHistogram("agent_run_duration", "s", "Time from a run's start to its end.", null, PlatformTelemetry.LatencySeconds);
    private readonly Counter<long> _steps = PlatformTelemetry.Meter.CreateCounter<long>("agent_steps", null, "Model calls that runs made.");
    private readonly Counter<long> _toolCalls = PlatformTelemetry.Meter.CreateCounter<long>("tool_calls", null, "Calls of built-in tools.");
    private readonly Counter<long> _guardrails = PlatformTelemetry.Meter.CreateCounter<long>("guardrail_triggers", null, "Times that a guardrail of an agent found what it guards against.");
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
        _steps.Add(run.Steps, new KeyValuePair<string, object?>("agent", _agents.Of(run.Agent)));
    }

    public void GuardrailTriggered(GuardrailEvent triggered) =>
        _guardrails.Add(1, new TagList { { "guardrail", triggered.Guardrail }, { "stage", GuardrailNames.Of(triggered.Stage) }, { "action", GuardrailNames.Of(triggered.Action) } });

    // The tool's name comes from the registry here, never from the model.
    public void ToolCalled(string tool, bool error) => _toolCalls.Add(1, new TagList { { "tool", tool }, { "status", error ? "error" : "ok" } });
}
