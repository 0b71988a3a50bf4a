using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Messaging;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Records runs as user journeys: a chat turn step by step, a completion as one record when it ends.</summary>
internal sealed class RunJourneys(JourneyRecorder recorder, TimeProvider time)
{
    public void Started(RunRecord run)
    {
        if (run.Surface == RunInput.ChatSurface) recorder.Record(Change(run, "started"));
    }

    public void Step(RunRecord run, string step)
    {
        if (run.Surface == RunInput.ChatSurface) recorder.Record(Change(run, "step") with { Step = step });
    }

    /// <param name="run">The final row.</param>
    /// <param name="clientJourneyId">The client's own journey, which gets a step.</param>
    /// <param name="steps">Names of the steps, joined by commas.</param>
    /// <param name="duration">From start to end.</param>
    public void Ended(RunRecord run, string? clientJourneyId, string steps, TimeSpan duration)
    {
        string outcome = run.Status switch { RunStatus.Completed => "completed", RunStatus.Failed => "failed", _ => "abandoned" };
        if (run.Surface == RunInput.ChatSurface) recorder.Record(Change(run, outcome) with { DurationMs = duration.TotalMilliseconds });
        else if (run.Surface == RunInput.StepSurface) return;
        else if (clientJourneyId is not null) recorder.Record(Change(run, "step") with { JourneyId = clientJourneyId, Step = $"agent/{run.Agent}" });
        else recorder.Record(Change(run, "recorded") with { Step = steps, Outcome = outcome, DurationMs = duration.TotalMilliseconds });
    }

    private JourneyChange Change(RunRecord run, string kind)
    {
        DateTimeOffset now = time.GetUtcNow();
        return new JourneyChange
        {
            Id = Ids.New("jch", now),
            JourneyId = run.JourneyId,
            TenantId = run.TenantId,
            Kind = kind,
            Type = run.Kind == RunKind.Workflow ? "workflow" : "chat",
            UserId = run.UserId,
            At = now,
            Metadata = kind is "started" or "recorded" ? new Dictionary<string, string> { ["agent"] = run.Agent, ["run_id"] = run.Id } : null,
        };
    }
}
