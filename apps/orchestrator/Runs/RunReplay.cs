using System.Text;
using System.Text.Json;
using MultiAgent.Models;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Builds a run's state from its log, to go on where the log ends.</summary>
internal static class RunReplay
{
    /// <param name="agent">The version that the run started with.</param>
    /// <param name="input">From the log's first event.</param>
    /// <param name="history">Messages before this run.</param>
    /// <param name="events">The whole log, in order.</param>
    /// <param name="maxIdentical"><see cref="RunsOptions.MaxIdenticalRounds"/>.</param>
    public static RunState Rebuild(CompiledAgent agent, RunInput input, History history, IEnumerable<RunEvent> events, int maxIdentical)
    {
        var state = new RunState();
        state.Load(history, input.Messages);
        foreach (RunEvent e in events)
        {
            state.LastSeq = e.Seq;
            switch (e.Type)
            {
                case RunEventTypes.Started:
                    state.Started = true;
                    break;
                case RunEventTypes.SoftLimitReached:
                    state.Degraded = true;
                    break;
                case RunEventTypes.ContextCompacted:
                    Compacted(state, e.Data);
                    break;
                case RunEventTypes.CompactionFailed:
                    state.CompactionFailed = true;
                    break;
                case RunEventTypes.ModelCalled:
                    CloseTools(state);
                    state.ModelCalled = true;
                    break;
                case RunEventTypes.ModelCompleted:
                    ModelCompleted(agent, input, state, e.Data);
                    break;
                case RunEventTypes.ApprovalRequested:
                    Requested(state, e.Data);
                    break;
                case RunEventTypes.ApprovalDecided:
                    Decided(state, e.Data);
                    break;
                case RunEventTypes.ToolCallIntended:
                    Intended(state, e.Data);
                    break;
                case RunEventTypes.WaitRequested:
                    Rests(state, e.Data);
                    break;
                case RunEventTypes.ToolCallCompleted:
                    Completed(state, e.Data, maxIdentical);
                    break;
            }
        }
        return state;
    }

    private static void Compacted(RunState state, byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement, usage = root.GetProperty("usage");
        state.Spent(Usage(usage), Cost(usage));
        state.Compact(root.GetProperty("summary").GetString()!, root.GetProperty("throughPosition").GetInt64(), root.GetProperty("ownMessages").GetInt32());
    }

    private static void ModelCompleted(CompiledAgent agent, RunInput input, RunState state, byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement, usage = root.GetProperty("usage");
        state.Used(Usage(usage), Cost(usage));
        state.ModelCalled = false;
        if (!root.TryGetProperty("message", out JsonElement message)) return;
        ChatMessage parsed = ChatMessage.Parse(Encoding.UTF8.GetBytes(message.GetRawText()));
        if (!parsed.HasToolCalls)
        {
            // An answer that was sent back because it did not follow the response format.
            string text = message.GetProperty("content").GetString()!;
            state.Repaired = true;
            state.Messages.Add(parsed);
            state.Messages.Add(ResponseCheck.Feedback(ResponseCheck.Problem(agent, input, text) ?? "it does not follow the format"));
            return;
        }
        state.CallingMessage = parsed;
        foreach (JsonElement call in message.GetProperty("tool_calls").EnumerateArray())
        {
            JsonElement function = call.GetProperty("function");
            var made = new ToolCall(call.GetProperty("id").GetString()!, function.GetProperty("name").GetString()!, function.GetProperty("arguments").GetString()!);
            if (input.Completion?.ToolNames.Contains(made.Name) == true) state.ClientCalls.Add(made);
            else state.Guard.Note(made);
        }
    }

    private static TokenUsage Usage(JsonElement usage) => new(Number(usage, "inputTokens"), Number(usage, "outputTokens"), CachedInputTokens: Number(usage, "cachedInputTokens"),
        ReasoningTokens: Number(usage, "reasoningTokens"), Estimated: usage.TryGetProperty("estimated", out _));

    private static decimal? Cost(JsonElement usage) => usage.TryGetProperty("costUsd", out JsonElement cost) && cost.ValueKind == JsonValueKind.Number ? cost.GetDecimal() : null;

    private static long Number(JsonElement usage, string name) => usage.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : 0;

    private static void Intended(RunState state, byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement;
        var call = new ToolCall(root.GetProperty("id").GetString()!, root.GetProperty("name").GetString()!, root.GetProperty("arguments").GetString()!);
        state.Open.Add(new OpenCall(call, root.GetProperty("idempotencyKey").GetString()!, root.GetProperty("effect").GetString()!));
    }

    private static void Completed(RunState state, byte[] data, int maxIdentical)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement;
        string id = root.GetProperty("id").GetString()!, name = root.GetProperty("name").GetString()!;
        // One that a person refused was never open.
        if (state.Open.FindIndex(o => o.Call.Id == id) is >= 0 and var open)
        {
            if (root.TryGetProperty("runId", out _) && state.Guard.Answered(state.Open[open].Call, root.GetProperty("result").GetString()!, maxIdentical)) state.Stalled = true;
            state.Resting.RemoveAll(r => r.IdempotencyKey == state.Open[open].IdempotencyKey);
            state.Open.RemoveAt(open);
        }
        if (root.TryGetProperty("usage", out JsonElement usage)) state.Spent(Usage(usage), Cost(usage));
        state.Results.Add((new ToolCall(id, name, ""), root.GetProperty("result").GetString()!));
        state.StepNames.Add($"tool:{name}");
    }

    private static void Rests(RunState state, byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement;
        DateTimeOffset? until = root.TryGetProperty("expiresAt", out JsonElement expires) ? expires.GetDateTimeOffset() : null;
        state.Resting.Add(new RestingChild(root.GetProperty("idempotencyKey").GetString()!, root.GetProperty("waitId").GetString()!, new RestingCall(root.GetProperty("runId").GetString()!, until)));
    }

    private static void Requested(RunState state, byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        JsonElement root = document.RootElement;
        var call = new ToolCall(root.GetProperty("id").GetString()!, root.GetProperty("name").GetString()!, root.GetProperty("arguments").GetString()!);
        state.Pending.Add(new PendingCall(call, root.GetProperty("idempotencyKey").GetString()!, root.GetProperty("approvalId").GetString()!, root.GetProperty("expiresAt").GetDateTimeOffset()));
    }

    private static void Decided(RunState state, byte[] data)
    {
        using var document = JsonDocument.Parse(data);
        string id = document.RootElement.GetProperty("approvalId").GetString()!;
        if (document.RootElement.GetProperty("decision").GetString() == "edit" && state.Pending.Find(p => p.WaitId == id) is { } edited) state.Edited.Add(edited.Call.Id);
        state.Pending.RemoveAll(p => p.WaitId == id);
    }

    private static void CloseTools(RunState state)
    {
        if (state.CallingMessage is not { } calling) return;
        state.Messages.Add(calling);
        foreach ((ToolCall call, string result) in state.Results) state.Messages.Add(ChatMessage.ToolResult(call.Id, result));
        state.CallingMessage = null;
        state.Results.Clear();
        state.Edited.Clear();
        state.ClientCalls.Clear();
    }
}
