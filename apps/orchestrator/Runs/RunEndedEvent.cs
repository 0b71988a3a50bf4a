using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Makes the event that tells of a run's end.</summary>
internal static class RunEndedEvent
{
    /// <summary>Null for a run that is a step of another one: the other tells of it, and nobody listens for the ends of steps, of which there are many.</summary>
    public static EventEnvelope? Of(RunRecord run)
    {
        if (run.ParentRunId is not null) return null;
        DateTimeOffset at = run.EndedAt!.Value;
        var ended = new RunEnded
        {
            RunId = run.Id,
            TenantId = run.TenantId,
            Agent = run.Agent,
            AgentVersion = run.AgentVersion,
            ConversationId = run.ConversationId,
            JourneyId = run.Surface == RunInput.ChatSurface ? run.JourneyId : null,
            UserId = run.UserId,
            Status = RunStatusNames.Of(run.Status),
            Reason = run.Reason ?? run.Error?.Code,
            Steps = run.Steps,
            InputTokens = run.Usage.InputTokens,
            OutputTokens = run.Usage.OutputTokens,
            CostUsd = run.CostUsd,
            DurationMs = (at - (run.StartedAt ?? run.CreatedAt)).TotalMilliseconds,
            At = at,
        };
        return new EventEnvelope
        {
            Id = Ids.New("evt", at),
            Subject = run.Status switch { RunStatus.Completed => Subjects.RunCompleted, RunStatus.Failed => Subjects.RunFailed, _ => Subjects.RunCancelled },
            Source = OrchestratorModule.ServiceName,
            TenantId = run.TenantId,
            OrderingKey = run.Id,
            Time = at,
            TraceParent = run.TraceParent,
            Data = JsonSerializer.SerializeToUtf8Bytes(ended, EventJson.Default.RunEnded),
        };
    }
}
