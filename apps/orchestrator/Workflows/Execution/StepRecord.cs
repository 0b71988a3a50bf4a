using System.Text.Json;
using System.Text.Json.Serialization;
using MultiAgent.Orchestrator.Runs.Waits;

namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>How a step stands.</summary>
internal enum StepStatus
{
    New,
    Started,
    Completed,
    Skipped,
    Failed,
}

/// <summary>What the log says of one place in a workflow. One strand works at a place. All of it is kept in snapshots.</summary>
internal sealed class StepRecord
{
    public StepStatus Status { get; set; }

    /// <summary>The attempt that is under way, or was the last; from 1.</summary>
    public int Attempt { get; set; } = 1;

    /// <summary>When the first attempt began.</summary>
    public DateTimeOffset StartedAt { get; set; }

    /// <summary>None, and the value <c>null</c>, are different outputs.</summary>
    [JsonConverter(typeof(NullIsAValue))]
    public JsonElement? Output { get; set; }
    public string? ErrorCode { get; set; }
    public string? ErrorMessage { get; set; }

    /// <summary>Where its end stands in the log: the order in which steps were done.</summary>
    public long DoneAt { get; set; }

    /// <summary>Hash of what an agent or a tool was asked here last.</summary>
    public string? Asked { get; set; }

    /// <summary>The version of the blackboard that is seen here.</summary>
    public long? Board { get; set; }

    /// <summary>Versions of the writes to the blackboard that the log tells of.</summary>
    public HashSet<long> Written { get; set; } = [];

    /// <summary>That it could not undo what it is to undo is in the log.</summary>
    public bool Told { get; set; }

    // Of the attempt under way:

    /// <summary>When the next attempt may begin.</summary>
    public DateTimeOffset? RetryAt { get; set; }

    public string? ChildRunId { get; set; }

    /// <summary>How an agent failed here, as long as the log does not say what the step made of it.</summary>
    public (string Code, string Message)? Failure { get; set; }

    /// <summary>The version of the workflow that the step runs.</summary>
    public (string Id, int Version)? Subworkflow { get; set; }

    /// <summary>The idempotency key of a call that was to be made, and what repeating it does.</summary>
    public (string Key, string Effect)? Intended { get; set; }

    /// <summary>What a step waits for until then.</summary>
    public DateTimeOffset? Until { get; set; }

    public string? WaitId { get; set; }
    public WaitResolution? Resolution { get; set; }
    public bool Expired { get; set; }

    public void BeginAttempt(int attempt)
    {
        Attempt = attempt;
        RetryAt = null;
        ChildRunId = null;
        Subworkflow = null;
        Intended = null;
        Until = null;
        WaitId = null;
        Resolution = null;
        Expired = false;
    }

    internal sealed class NullIsAValue : JsonConverter<JsonElement?>
    {
        public override bool HandleNull => true;

        public override JsonElement? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => JsonElement.ParseValue(ref reader);

        public override void Write(Utf8JsonWriter writer, JsonElement? value, JsonSerializerOptions options)
        {
            if (value is { } element) element.WriteTo(writer);
            else writer.WriteNullValue();
        }
    }
}
