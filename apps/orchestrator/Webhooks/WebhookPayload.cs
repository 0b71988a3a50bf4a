using System.Buffers;
using System.Text.Json;
using MultiAgent.Contracts.Events;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Webhooks;

/// <summary>Bodies of webhooks: type, time and data, as the specification has them.</summary>
internal static class WebhookPayload
{
    // Receivers bound their bodies; what is larger is read from the API.
    private const int MaxContent = 64 * 1024;

    public static byte[] Of(string type, DateTimeOffset at, RunRecord run, ApprovalRequested? approval, CompensationFailed? compensation, FinalMessage? message) => Write(type, at, json =>
    {
        json.WriteString("runId"u8, run.Id);
        json.WriteString("kind"u8, RunKindNames.Of(run.Kind));
        json.WriteString(run.Kind == RunKind.Workflow ? "workflow"u8 : "agent"u8, run.Agent);
        json.WriteNumber(run.Kind == RunKind.Workflow ? "workflowVersion"u8 : "agentVersion"u8, run.AgentVersion);
        if (run.ConversationId is not null) json.WriteString("conversationId"u8, run.ConversationId);
        json.WriteString("surface"u8, run.Surface);
        json.WriteString("status"u8, approval is not null ? "waiting" : RunStatusNames.Of(run.Status));
        json.WriteString("createdAt"u8, run.CreatedAt);
        if (run.Metadata is { } metadata)
        {
            json.WritePropertyName("metadata"u8);
            json.WriteRawValue(metadata, skipInputValidation: true);
        }
        if (approval is not null)
        {
            json.WriteStartObject("approval"u8);
            json.WriteString("id"u8, approval.ApprovalId);
            if (approval.Title is not null) json.WriteString("title"u8, approval.Title);
            if (approval.Role is not null) json.WriteString("role"u8, approval.Role);
            if (approval.ExpiresAt is { } expires) json.WriteString("expiresAt"u8, expires);
            json.WriteEndObject();
            return;
        }
        if (compensation is not null)
        {
            json.WriteStartObject("compensation"u8);
            json.WriteString("deadLetterId"u8, compensation.DeadLetterId);
            json.WriteString("step"u8, compensation.Step);
            json.WriteString("code"u8, compensation.Code);
            json.WriteString("message"u8, compensation.Message);
            json.WriteEndObject();
            return;
        }
        if (run.Reason is not null) json.WriteString("reason"u8, run.Reason);
        if (run.EndedAt is { } ended) json.WriteString("endedAt"u8, ended);
        if (run.Error is { } error)
        {
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, error.Code);
            json.WriteString("message"u8, error.Message);
            json.WriteEndObject();
        }
        RunLog.WriteUsage(json, run.Usage, run.CostUsd);
        WriteContent(json, run, message);
    });

    /// <summary>An event that was asked for.</summary>
    public static byte[] Test(DateTimeOffset at) => Write(WebhookEvents.Test, at, static json => json.WriteString("message"u8, "This is a test."u8));

    private static void WriteContent(Utf8JsonWriter json, RunRecord run, FinalMessage? message)
    {
        if (run.Output is { } output)
        {
            if (output.Length > MaxContent) json.WriteBoolean("outputOmitted"u8, true);
            else
            {
                json.WritePropertyName("output"u8);
                json.WriteRawValue(output, skipInputValidation: true);
            }
        }
        if (message is null) return;
        if (message.Text.Length > MaxContent) json.WriteBoolean("messageOmitted"u8, true);
        else json.WriteString("message"u8, message.Text.Span);
    }

    private static byte[] Write(string type, DateTimeOffset at, Action<Utf8JsonWriter> data)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, Json.WriterOptions);
        json.WriteStartObject();
        json.WriteString("type"u8, type);
        json.WriteString("timestamp"u8, at);
        json.WriteStartObject("data"u8);
        data(json);
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }
}
