using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Blackboards;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Guardrails;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Runs.Waits;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Makes the events of one run, numbered without gaps. What is pending is stored at the next boundary of a step.</summary>
internal sealed class RunLog(RunRecord run, TimeProvider time, long lastSeq)
{
    private readonly EventWriter _writer = new();
    private long _seq = lastSeq;

    /// <summary>Number of the last event, stored or pending.</summary>
    public long LastSeq => _seq;

    public List<RunEvent> Pending { get; private set; } = [];

    /// <summary>Takes what is pending.</summary>
    public List<RunEvent> Take()
    {
        List<RunEvent> taken = Pending;
        Pending = new List<RunEvent>(4);
        return taken;
    }

    public void Accepted(RunInput input) => Add(RunEventTypes.Accepted, input.ToEvent(_writer, run));

    public void Started() => Add(RunEventTypes.Started, run, static (json, run) =>
    {
        json.WriteString("runId"u8, run.Id);
        if (run.ConversationId is not null) json.WriteString("conversationId"u8, run.ConversationId);
        json.WriteString(run.Kind == RunKind.Workflow ? "workflow"u8 : "agent"u8, run.Agent);
        json.WriteNumber(run.Kind == RunKind.Workflow ? "workflowVersion"u8 : "agentVersion"u8, run.AgentVersion);
    });

    /// <summary>Events of another run, under numbers of this one.</summary>
    public void AddAll(IReadOnlyList<RunEvent> events)
    {
        foreach (RunEvent e in events) Pending.Add(new RunEvent { Seq = ++_seq, Type = e.Type, At = e.At, Data = e.Data });
    }

    public void Resumed() => Add(RunEventTypes.Resumed, (run.Id, After: _seq), static (json, state) =>
    {
        json.WriteString("runId"u8, state.Id);
        json.WriteNumber("afterSeq"u8, state.After);
    });

    public void ModelCalled(int step, string model)
    {
        Add(RunEventTypes.StepStarted, step, static (json, step) =>
        {
            json.WriteNumber("step"u8, step);
            json.WriteString("kind"u8, "model"u8);
        });
        Add(RunEventTypes.ModelCalled, (step, model), static (json, state) =>
        {
            json.WriteNumber("step"u8, state.step);
            json.WriteString("model"u8, state.model);
        });
    }

    /// <param name="step">The step's number.</param>
    /// <param name="model">The model that answered.</param>
    /// <param name="usage">What it used.</param>
    /// <param name="cost">US dollars; null when unknown.</param>
    /// <param name="finishReason">As the model gave it.</param>
    /// <param name="message">The assistant's message, unless <c>message.completed</c> follows with it.</param>
    /// <param name="streamed">Text that readers have seen a part of.</param>
    public void ModelCompleted(int step, string model, TokenUsage usage, decimal? cost, string? finishReason, ChatMessage? message, ReadOnlyMemory<byte> streamed)
    {
        byte[] data = _writer.Write((step, model, usage, cost, finishReason, message), static (json, s) =>
        {
            json.WriteNumber("step"u8, s.step);
            json.WriteString("model"u8, s.model);
            WriteUsage(json, s.usage, s.cost);
            if (s.finishReason is not null) json.WriteString("finishReason"u8, s.finishReason);
            if (s.message is not { } message) return;
            json.WritePropertyName("message"u8);
            json.WriteRawValue(message.Json.Span, skipInputValidation: true);
        });
        Pending.Add(new RunEvent { Seq = ++_seq, Type = RunEventTypes.ModelCompleted, At = time.GetUtcNow(), Data = data, EndsText = true, StreamedText = streamed });
    }

    public void ToolStep(int step) => Add(RunEventTypes.StepStarted, step, static (json, step) =>
    {
        json.WriteNumber("step"u8, step);
        json.WriteString("kind"u8, "tool"u8);
    });

    public void ToolCallIntended(ToolCall call, string idempotencyKey, Tools.ToolEffect effect) =>
        Add(RunEventTypes.ToolCallIntended, (call, idempotencyKey, effect), static (json, s) =>
        {
            json.WriteString("id"u8, s.call.Id);
            json.WriteString("name"u8, s.call.Name);
            json.WriteString("arguments"u8, s.call.Arguments);
            json.WriteString("idempotencyKey"u8, s.idempotencyKey);
            json.WriteString("effect"u8, Tools.ToolEffects.Of(s.effect));
        });

    public void ToolCallCompleted(ToolCall call, CallResult result) => Add(RunEventTypes.ToolCallCompleted, (call, result), static (json, s) =>
    {
        json.WriteString("id"u8, s.call.Id);
        json.WriteString("name"u8, s.call.Name);
        json.WriteString("result"u8, s.result.Text);
        json.WriteBoolean("isError"u8, s.result.IsError);
        WriteCall(json, s.result);
    });

    /// <param name="kind">What went round.</param>
    /// <param name="times">How often.</param>
    public void NoProgress(string kind, int times) => Add(RunEventTypes.NoProgress, (kind, times), static (json, s) =>
    {
        json.WriteString("kind"u8, s.kind);
        json.WriteNumber("states"u8, 1);
        json.WriteNumber("times"u8, s.times);
    });

    public void BlackboardWritten(ToolCall call, BlackboardWrite written) => Add(RunEventTypes.BlackboardWritten, (call, written), static (json, s) =>
    {
        json.WriteString("id"u8, s.call.Id);
        WriteBlackboard(json, s.written);
    });

    /// <summary>A write to the blackboard: what was given, and which of the board's writes it is.</summary>
    public static void WriteBlackboard(Utf8JsonWriter json, BlackboardWrite written)
    {
        json.WriteString("boardRunId"u8, written.BoardRunId);
        json.WriteString("name"u8, written.Name);
        json.WriteNumber("version"u8, written.Version);
        if (written.Agent is not null) json.WriteString("agent"u8, written.Agent);
        json.WritePropertyName("value"u8);
        json.WriteRawValue(written.Given, skipInputValidation: true);
    }

    /// <summary>The run of a call rests, and this one waits for its end.</summary>
    public void ChildRests(ToolCall call, RestingChild child) => Add(RunEventTypes.WaitRequested, (call, child), static (json, s) =>
    {
        json.WriteString("waitId"u8, s.child.WaitId);
        json.WriteString("kind"u8, WaitNames.Of(WaitKind.Child));
        json.WriteString("id"u8, s.call.Id);
        json.WriteString("name"u8, s.call.Name);
        json.WriteString("idempotencyKey"u8, s.child.IdempotencyKey);
        json.WriteString("runId"u8, s.child.Call.RunId);
        if (s.child.Call.Until is { } until) json.WriteString("expiresAt"u8, until);
    });

    /// <summary>Which run a call was, why it failed and what it used, where there is something to say.</summary>
    public static void WriteCall(Utf8JsonWriter json, in CallResult result)
    {
        if (result.RunId is not null) json.WriteString("runId"u8, result.RunId);
        if (result.Code is not null) json.WriteString("code"u8, result.Code);
        if (result.CostUsd != 0m || result.Usage != default) WriteUsage(json, result.Usage, result.CostUsd);
    }

    public void ApprovalRequested(PendingCall pending, string role) => Add(RunEventTypes.ApprovalRequested, (pending, role), static (json, s) =>
    {
        json.WriteString("id"u8, s.pending.Call.Id);
        json.WriteString("name"u8, s.pending.Call.Name);
        json.WriteString("arguments"u8, s.pending.Call.Arguments);
        json.WriteString("argumentsHash"u8, ApprovalSubject.HashOf(s.pending.Call.Arguments));
        json.WriteString("idempotencyKey"u8, s.pending.IdempotencyKey);
        json.WriteString("approvalId"u8, s.pending.WaitId);
        json.WriteString("role"u8, s.role);
        json.WriteString("expiresAt"u8, s.pending.ExpiresAt);
    });

    /// <param name="pending">The call.</param>
    /// <param name="resolution">Null when the time was up.</param>
    public void ApprovalDecided(PendingCall pending, WaitResolution? resolution) => Add(RunEventTypes.ApprovalDecided, (pending, resolution), static (json, s) =>
    {
        json.WriteString("id"u8, s.pending.Call.Id);
        json.WriteString("name"u8, s.pending.Call.Name);
        json.WriteString("approvalId"u8, s.pending.WaitId);
        json.WriteString("decision"u8, s.resolution?.Decision ?? "expired");
        if (s.resolution?.By is { } by) json.WriteString("by"u8, by);
        if (s.resolution?.Comment is { } comment) json.WriteString("comment"u8, comment);
    });

    /// <summary>The run rests, until then at most.</summary>
    public void Waiting(DateTimeOffset? until) => Add(RunEventTypes.Waiting, until, static (json, until) =>
    {
        if (until is { } time) json.WriteString("until"u8, time);
    });

    /// <param name="triggered">What acted.</param>
    /// <param name="callId">The call whose result it looked at; null for anything else.</param>
    public void GuardrailTriggered(GuardrailEvent triggered, string? callId = null) => Add(RunEventTypes.GuardrailTriggered, (triggered, callId), static (json, s) =>
    {
        s.triggered.Write(json);
        if (s.callId is not null) json.WriteString("toolCallId"u8, s.callId);
    });

    public void SoftLimitReached(string limit, string model) => Add(RunEventTypes.SoftLimitReached, (limit, model), static (json, s) =>
    {
        json.WriteString("limit"u8, s.limit);
        json.WriteString("model"u8, s.model);
    });

    public void Paused() => Add(RunEventTypes.Paused, run.Id, static (json, id) => json.WriteString("runId"u8, id));

    public void LimitReached(string reason) => Add(RunEventTypes.LimitReached, reason, static (json, reason) => json.WriteString("reason"u8, reason));

    public void MessageCompleted(FinalMessage message, TokenUsage usage, decimal? cost, bool partial, ReadOnlyMemory<byte> streamed)
    {
        byte[] data = _writer.Write((message, usage, cost, partial), static (json, s) =>
        {
            json.WriteString("messageId"u8, s.message.Id);
            json.WriteString("text"u8, s.message.Text.Span);
            if (s.message.Model is not null) json.WriteString("model"u8, s.message.Model);
            json.WriteString("finishReason"u8, s.message.FinishReason);
            if (!s.message.ToolCalls.IsEmpty)
            {
                json.WritePropertyName("toolCalls"u8);
                json.WriteRawValue(s.message.ToolCalls.Span, skipInputValidation: true);
            }
            if (s.partial) json.WriteBoolean("partial"u8, true);
            WriteUsage(json, s.usage, s.cost);
        });
        Pending.Add(new RunEvent { Seq = ++_seq, Type = RunEventTypes.MessageCompleted, At = time.GetUtcNow(), Data = data, EndsText = !streamed.IsEmpty, StreamedText = streamed });
    }

    public void Ended(RunRecord end) => Add(end.Status switch
    {
        RunStatus.Completed => RunEventTypes.Completed,
        RunStatus.Failed => RunEventTypes.Failed,
        _ => RunEventTypes.Cancelled,
    }, end, static (json, end) =>
    {
        json.WriteString("runId"u8, end.Id);
        json.WriteString("status"u8, RunStatusNames.Of(end.Status));
        if (end.Error is { } error)
        {
            json.WriteString("code"u8, error.Code);
            json.WriteString("message"u8, error.Message);
        }
        json.WriteString("reason"u8, end.Reason);
    });

    public static void WriteUsage(Utf8JsonWriter json, in TokenUsage usage, decimal? cost)
    {
        json.WriteStartObject("usage"u8);
        json.WriteNumber("inputTokens"u8, usage.InputTokens);
        if (usage.CachedInputTokens > 0) json.WriteNumber("cachedInputTokens"u8, usage.CachedInputTokens);
        json.WriteNumber("outputTokens"u8, usage.OutputTokens);
        if (usage.ReasoningTokens > 0) json.WriteNumber("reasoningTokens"u8, usage.ReasoningTokens);
        if (usage.Estimated) json.WriteBoolean("estimated"u8, true);
        if (cost is { } dollars) json.WriteNumber("costUsd"u8, dollars);
        else json.WriteNull("costUsd"u8);
        json.WriteEndObject();
    }

    /// <summary>An event of any type.</summary>
    public void Add<T>(string type, T state, Action<Utf8JsonWriter, T> members) => Add(type, _writer.Write(state, members));

    private void Add(string type, byte[] data) => Pending.Add(new RunEvent { Seq = ++_seq, Type = type, At = time.GetUtcNow(), Data = data });
}
