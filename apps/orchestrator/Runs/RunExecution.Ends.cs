using System.Text;
using MultiAgent.Contracts;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Guardrails;

namespace MultiAgent.Orchestrator.Runs;

/// <content>How a run ends: with an answer, at a bound, refused or cancelled.</content>
internal sealed partial class RunExecution
{
    private async Task<bool> AnswerAsync(ModelReply reply, string model, TokenUsage usage, decimal? cost)
    {
        Guarded said = Guard(GuardrailStages.Output, reply.Text);
        ReadOnlyMemory<byte> text = said.Events.Count == 0 ? reply.Text : Encoding.UTF8.GetBytes(said.Text);
        bool held = _agent.Guardrails.HoldsOutput;
        string? problem = _agent.ResponseSchema is null || said.Blocked is not null ? null : ResponseCheck.Problem(_agent, _input, Encoding.UTF8.GetString(text.Span));
        // What was streamed cannot be taken back: only an answer that nobody saw is asked for again.
        if (problem is not null && (held || !_input.Stream) && !state.Repaired && state.Steps < _agent.MaxSteps && SpentLimit() is null)
        {
            ChatMessage rejected = ChatMessage.Assistant(text.Span, []);
            log.ModelCompleted(state.Steps, model, usage, cost, reply.FinishReason, rejected, held ? default : reply.Text);
            Triggered(said);
            state.Repaired = true;
            state.Messages.Add(rejected);
            state.Messages.Add(ResponseCheck.Feedback(problem));
            CallModel();
            return false;
        }
        log.ModelCompleted(state.Steps, model, usage, cost, reply.FinishReason, null, held ? default : reply.Text);
        Triggered(said);
        if (said.Blocked is { } refusal)
        {
            await RefuseAsync(refusal);
            return true;
        }
        string finish = reply.FinishReason is "length" or "content_filter" ? reply.FinishReason : "stop";
        FinalMessage message = Message(text, finish, model);
        log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, held ? text : default);
        await EndAsync(RunStatus.Completed, problem is not null ? ResponseCheck.Invalid : finish == "stop" ? null : finish, null, message);
        return true;
    }

    /// <summary>Ends the run with what a guardrail says instead of an answer.</summary>
    private async Task RefuseAsync(string refusal)
    {
        byte[] text = Encoding.UTF8.GetBytes(refusal);
        FinalMessage message = Message(text, "content_filter", null);
        log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, text);
        await EndAsync(RunStatus.Completed, GuardrailSet.BlockedReason, null, message);
    }

    /// <summary>Ends the run at a bound, and tells the user so.</summary>
    private async Task StopAsync(string reason, ReadOnlyMemory<byte> text)
    {
        string note = StopNotes.Of(reason, _agent);
        byte[] partial = live.TextSoFar();
        bool unfinished = text.IsEmpty && partial.Length > 0;
        if (unfinished) text = partial;
        byte[] tail = Encoding.UTF8.GetBytes(text.IsEmpty ? note : $"\n\n{note}");
        byte[] whole = [.. text.Span, .. tail];
        // Readers count from the start of the message that they were reading: the unfinished one, or a new one of the note alone.
        byte[] streamed = unfinished ? whole : tail;
        FinalMessage message = Message(whole, "stop", null);
        log.LimitReached(reason);
        log.MessageCompleted(message, state.Usage, state.CostUsd, partial: false, streamed);
        await EndAsync(RunStatus.Completed, reason, null, message);
    }

    private async Task CancelAsync(string reason)
    {
        FinalMessage? message = null;
        // What the user has seen of the answer stays in the conversation.
        if (reason != RolledBack && live.TextSoFar() is { Length: > 0 } partial)
        {
            message = Message(partial, "stop", null);
            log.MessageCompleted(message, state.Usage, state.CostUsd, partial: true, partial);
        }
        await EndAsync(RunStatus.Cancelled, reason, null, message);
    }

    private async Task EndAsync(RunStatus status, string? reason, RunError? error, FinalMessage? message)
    {
        DateTimeOffset now = services.Time.GetUtcNow();
        RunRecord end = _run with
        {
            Status = status, Reason = reason, Error = error, Steps = state.Steps, Usage = state.Usage,
            CostUsd = state.CostUsd, StartedAt = _run.StartedAt ?? _run.CreatedAt, EndedAt = now,
        };
        if (message is { Text.Length: > 0, ToolCalls.IsEmpty: true } && _run.ConversationId is not null)
            _messages.Add(new NewMessage(message.Id, "assistant", true, ChatMessage.Assistant(message.Text.Span, []).Json.ToArray(), now));
        log.Ended(end);
        List<RunEvent> events = log.Take();
        var write = new RunWrite { Run = _run, Events = events, Messages = [.. _messages], End = end, Event = RunEndedEvent.Of(end), RemovesMessages = reason == RolledBack, ClosedWaits = [.. _closedWaits, .. state.Pending.Select(p => p.WaitId), .. state.Resting.Select(r => r.WaitId)] };
        var outcome = new RunOutcome(end, message);
        if (!await StoreWithParentAsync(write, outcome)) await _writer.WriteAsync(write);
        _messages.Clear();
        live.Publish(events);
        Outcome = outcome;
    }

    private async Task<bool> StoreWithParentAsync(RunWrite write, RunOutcome outcome)
    {
        if (live.EndsWith is not { } endsWith) return false;
        Task<bool> storing = endsWith(write);
        // Now that its end goes with whatever the parent writes next.
        live.Decide(outcome);
        return await storing;
    }

    private FinalMessage Message(ReadOnlyMemory<byte> text, string finishReason, string? model) =>
        new() { Id = Ids.New("msg", services.Time), Text = text, FinishReason = finishReason, Model = model };

    private static ReadOnlyMemory<byte> EventWriterOf(List<ToolCall> calls)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(256);
        using var json = new System.Text.Json.Utf8JsonWriter(buffer, Json.WriterOptions);
        ToolCall.Write(json, calls);
        json.Flush();
        return buffer.WrittenMemory;
    }
}
