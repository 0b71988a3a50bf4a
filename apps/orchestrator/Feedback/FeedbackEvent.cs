using System.Text.Json;
using MultiAgent.Contracts.Events;

namespace MultiAgent.Orchestrator.Feedback;

/// <summary>Makes the event that tells of a judgement.</summary>
internal static class FeedbackEvent
{
    public static EventEnvelope Of(string id, string tenantId, string? userId, FeedbackView feedback)
    {
        var told = new FeedbackRecorded
        {
            FeedbackId = feedback.Id, TenantId = tenantId, MessageId = feedback.MessageId, RunId = feedback.RunId, ConversationId = feedback.ConversationId, Agent = feedback.Agent, UserId = userId,
            Rating = feedback.Rating, Score = feedback.Score, HasComment = !string.IsNullOrEmpty(feedback.Comment), At = feedback.UpdatedAt,
        };
        return new EventEnvelope
        {
            Id = id, Subject = Subjects.FeedbackRecorded, Source = OrchestratorModule.ServiceName, TenantId = tenantId, OrderingKey = feedback.MessageId, Time = feedback.UpdatedAt,
            Data = JsonSerializer.SerializeToUtf8Bytes(told, EventJson.Default.FeedbackRecorded),
        };
    }
}
