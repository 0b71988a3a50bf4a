using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.A2A;

/// <summary>Runs in the words of the protocol: a task is a run, its context the conversation.</summary>
internal static class A2aWire
{
    public const string AnswerId = "answer";

    public static JsonObject Task(RunRecord run, FinalMessage? message, A2aDialect dialect)
    {
        var task = new JsonObject { ["id"] = run.Id, ["contextId"] = run.ConversationId, ["status"] = Status(run, dialect) };
        if (dialect == A2aDialect.Old) task["kind"] = "task";
        if (message is { Text.Length: > 0 }) task["artifacts"] = new JsonArray(Artifact(Encoding.UTF8.GetString(message.Text.Span), dialect));
        return task;
    }

    public static JsonObject StatusUpdate(RunRecord run, A2aDialect dialect)
    {
        var update = new JsonObject { ["taskId"] = run.Id, ["contextId"] = run.ConversationId, ["status"] = Status(run, dialect) };
        if (dialect == A2aDialect.Current) return new JsonObject { ["statusUpdate"] = update };
        update["kind"] = "status-update";
        update["final"] = run.IsFinal || run.Status == RunStatus.Waiting;
        return update;
    }

    /// <summary>A piece of the answer.</summary>
    public static JsonObject ArtifactUpdate(RunRecord run, string text, bool append, bool last, A2aDialect dialect)
    {
        var update = new JsonObject { ["taskId"] = run.Id, ["contextId"] = run.ConversationId, ["artifact"] = Artifact(text, dialect), ["append"] = append, ["lastChunk"] = last };
        if (dialect == A2aDialect.Current) return new JsonObject { ["artifactUpdate"] = update };
        update["kind"] = "artifact-update";
        return update;
    }

    public static JsonObject Result(JsonElement? id, JsonNode result) => new() { ["jsonrpc"] = "2.0", ["id"] = IdNode(id), ["result"] = result };

    public static JsonObject Error(JsonElement? id, int code, string message, string? reason = null)
    {
        var error = new JsonObject { ["code"] = code, ["message"] = message };
        if (reason is not null) error["data"] = new JsonObject { ["code"] = reason };
        return new JsonObject { ["jsonrpc"] = "2.0", ["id"] = IdNode(id), ["error"] = error };
    }

    /// <summary>The run's status for a state of the protocol, to filter by; null when there is none.</summary>
    public static RunStatus? StatusOf(string state) => state.Replace("TASK_STATE_", "", StringComparison.Ordinal).ToUpperInvariant() switch
    {
        "SUBMITTED" => RunStatus.Queued,
        "WORKING" => RunStatus.Running,
        "INPUT_REQUIRED" => RunStatus.Waiting,
        "COMPLETED" => RunStatus.Completed,
        "FAILED" => RunStatus.Failed,
        "CANCELED" => RunStatus.Cancelled,
        _ => null,
    };

    private static JsonObject Status(RunRecord run, A2aDialect dialect)
    {
        string state = run.Status switch
        {
            RunStatus.Queued => "SUBMITTED",
            RunStatus.Running => "WORKING",
            RunStatus.Waiting => "INPUT_REQUIRED",
            RunStatus.Completed => "COMPLETED",
            RunStatus.Failed => "FAILED",
            _ => "CANCELED",
        };
        var status = new JsonObject
        {
            ["state"] = dialect == A2aDialect.Current ? $"TASK_STATE_{state}" : state.ToLowerInvariant().Replace('_', '-'),
            ["timestamp"] = (run.EndedAt ?? run.StartedAt ?? run.CreatedAt).UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture),
        };
        string? says = run.Error is { } error ? $"{error.Message} ({error.Code})" : run.Status == RunStatus.Waiting ? "A person has to decide something first, or an event or a time has yet to come." : null;
        if (says is null) return status;
        var message = new JsonObject { ["messageId"] = $"{run.Id}-status", ["role"] = dialect == A2aDialect.Current ? "ROLE_AGENT" : "agent", ["parts"] = new JsonArray(Part(says, dialect)) };
        if (dialect == A2aDialect.Old) message["kind"] = "message";
        status["message"] = message;
        return status;
    }

    private static JsonObject Artifact(string text, A2aDialect dialect) => new() { ["artifactId"] = AnswerId, ["parts"] = new JsonArray(Part(text, dialect)) };

    private static JsonObject Part(string text, A2aDialect dialect)
    {
        var part = new JsonObject { ["text"] = text };
        if (dialect == A2aDialect.Old) part["kind"] = "text";
        return part;
    }

    private static JsonNode? IdNode(JsonElement? id) => id is { } value ? JsonNode.Parse(value.GetRawText()) : null;
}
