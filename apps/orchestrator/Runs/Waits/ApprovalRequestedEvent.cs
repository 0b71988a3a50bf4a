using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>Makes the events that tell of questions to people; they leave with the questions.</summary>
internal static class ApprovalRequestedEvent
{
    public static IEnumerable<EventEnvelope> Of(RunWrite write)
    {
        foreach (RunWait wait in write.Waits)
        {
            if (wait.Kind != WaitKind.Human) continue;
            var asked = new ApprovalRequested
            {
                ApprovalId = wait.Id, RunId = write.Run.Id, TenantId = write.Run.TenantId, Agent = write.Run.Agent, Title = wait.Title, Role = wait.Role, ExpiresAt = wait.ExpiresAt, At = wait.RequestedAt,
            };
            yield return new EventEnvelope
            {
                Id = Ids.Of("evt", wait.RequestedAt, wait.Id), Subject = Subjects.ApprovalRequested, Source = OrchestratorModule.ServiceName, TenantId = write.Run.TenantId, OrderingKey = write.Run.Id,
                Time = wait.RequestedAt, TraceParent = write.Run.TraceParent, Data = JsonSerializer.SerializeToUtf8Bytes(asked, EventJson.Default.ApprovalRequested),
            };
        }
    }
}
